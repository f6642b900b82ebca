namespace FtAkka.Machine.Devices;

/// <summary>Date and time as the clock's registers hold it, Gregorian, UTC. Fields may be out of range while a guest edits them.</summary>
internal readonly record struct RtcTime(int Year, int Month, int Day, int Hour, int Minute, int Second)
{
    private const long SecondsPerDay = 86_400;
    private const long DaysPerEra = 146_097;

    /// <summary>1 (Sunday) to 7, as the MC146818 counts.</summary>
    public int DayOfWeek => (int)(Modulo(DaysFromCivil(Year, Month, Day) + 4, 7) + 1);

    /// <summary>Seconds since 1970-01-01; excess fields carry over, 31 June being 1 July.</summary>
    public long ToUnixSeconds() => DaysFromCivil(Year, Month, Day) * SecondsPerDay + Hour * 3600L + Minute * 60L + Second;

    public static RtcTime FromUnixSeconds(long seconds)
    {
        var secondOfDay = (int)Modulo(seconds, SecondsPerDay);
        // Days from 0000-03-01 on, so that the leap day is the last of a year.
        var days = (seconds - secondOfDay) / SecondsPerDay + 719_468;
        var era = (days - Modulo(days, DaysPerEra)) / DaysPerEra;
        var dayOfEra = (int)Modulo(days, DaysPerEra);
        var yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365;
        var dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
        var monthFromMarch = (5 * dayOfYear + 2) / 153;
        var day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1;
        var month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
        // Four digits are all the registers have.
        var year = (int)Modulo(era * 400 + yearOfEra + (month <= 2 ? 1 : 0), 10_000);
        return new RtcTime(year, month, day, secondOfDay / 3600, secondOfDay / 60 % 60, secondOfDay % 60);
    }

    private static long DaysFromCivil(int year, int month, int day)
    {
        var monthIndex = month - 3;
        var marchYear = year + (monthIndex < 0 ? -1 : monthIndex / 12);
        monthIndex = (int)Modulo(monthIndex, 12);
        var era = (marchYear - Modulo(marchYear, 400)) / 400;
        var yearOfEra = Modulo(marchYear, 400);
        var dayOfYear = (153 * monthIndex + 2) / 5 + day - 1;
        return era * DaysPerEra + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468;
    }

    private static long Modulo(long value, long modulus) => (value % modulus + modulus) % modulus;
}
