using System.Text.Json;
using System.Text.Json.Nodes;

namespace FtAkka.Nodes.Tests;

/// <summary>A profile that a member sends is data: whatever is in it, it is taken or refused, and never an exception.</summary>
public sealed class HostileOfferTests
{
    private static readonly string Good = new VmProfile
    {
        Name = "web",
        CpuModel = "ftvm64-v1",
        MemoryBytes = 64 << 20,
        Disks = [new VmProfile.Disk("/images/web.img", ReadOnly: false, CapacitySectors: 4096)],
        Nics = [new VmProfile.Nic(NicTarget.None, null, Listen: false, "02f700000001", 1500)],
    }.Write();

    /// <summary>What stands at which place of a good profile instead.</summary>
    private static readonly (string Place, string Json)[] Replacements =
    [
        ("Disks", "null"), ("Disks", "[null]"), ("Nics", "null"), ("Nics", "[null]"), ("Name", "null"), ("CommandLine", "null"), ("CpuModel", "null"),
        ("Disks/0/Path", "null"), ("Disks/0/CapacitySectors", "18446744073709551615"), ("Disks/0/CapacitySectors", "0"), ("Nics/0/Mac", "null"),
        ("Nics/0/Mac", "\"\""), ("Nics/0/Mac", "\"02f7\""), ("Nics/0/Mac", "\"01ffffffffff\""), ("Nics/0/Mac", "\"zz\""), ("Nics/0/Mtu", "0"), ("Nics/0/Target", "99"),
        ("MemoryBytes", "-1"), ("MemoryBytes", "1e300"), ("MemoryBytes", "\"64M\""), ("Disks", "{}"), ("Disks", "7"), ("Nics/0", "[]"), ("Disks/0", "\"disk\""),
    ];

    [Fact]
    public void Good_profile_is_taken() => Assert.Equal("", Outcome(Good));

    [Fact]
    public void Profile_with_nulls_wrong_types_and_absurd_sizes_is_refused_and_never_throws()
    {
        string[] wrong =
        [
            .. Replacements.Select(one => (one.Place, one.Json, Outcome: Outcome(With(one.Place, one.Json))))
                .Where(one => one.Outcome.Length == 0 || one.Outcome.Contains("Exception", StringComparison.Ordinal))
                .Select(one => $"{one.Place} = {one.Json}: {(one.Outcome.Length == 0 ? "taken" : one.Outcome)}"),
            .. DeepOnes().Select(Outcome).Where(outcome => outcome.Length == 0 || outcome.Contains("Exception", StringComparison.Ordinal)),
        ];
        Assert.True(wrong.Length == 0, string.Join('\n', wrong));
    }

    /// <summary>Structure by chance: at any place of the profile stands something else, is gone, or is there many times.</summary>
    [Fact]
    public void Thirty_thousand_profiles_of_another_structure_are_taken_or_refused_and_never_throw()
    {
        const int seed = 20261130, count = 30_000;
        var random = new Random(seed);
        int refused = 0;
        for (int i = 0; i < count; i++)
        {
            JsonNode profile = JsonNode.Parse(Good)!;
            for (int changes = random.Next(1, 4); changes > 0; changes--)
            {
                Change(profile, random);
            }
            string text = profile.ToJsonString(), outcome = Outcome(text);
            Assert.False(outcome.Contains("Exception", StringComparison.Ordinal), $"seed {seed}, profile {i}: {outcome}: {text}");
            refused += outcome.Length > 0 ? 1 : 0;
        }
        Assert.InRange(refused, count / 2, count - 1);
    }

    private static void Change(JsonNode profile, Random random)
    {
        JsonNode at = profile;
        while (true)
        {
            JsonNode?[] inside = at switch
            {
                JsonObject fields => [.. fields.Select(field => field.Value)],
                JsonArray items => [.. items],
                _ => [],
            };
            JsonNode?[] deeper = [.. inside.Where(one => one is JsonObject or JsonArray)];
            if (deeper.Length == 0 || random.Next(3) > 0)
            {
                break;
            }
            at = deeper[random.Next(deeper.Length)]!;
        }
        switch (at)
        {
            case JsonObject { Count: > 0 } fields:
                string name = fields.ElementAt(random.Next(fields.Count)).Key;
                if (random.Next(6) == 0)
                {
                    fields.Remove(name);
                }
                else
                {
                    fields[random.Next(20) == 0 ? name + "2" : name] = Something(random, 0);
                }
                break;
            case JsonArray items:
                for (int i = random.Next(1, 30); i > 0; i--)
                {
                    items.Add(items.Count > 0 && random.Next(2) == 0 ? items[0]?.DeepClone() : Something(random, 0));
                }
                break;
            default:
                break;
        }
    }

    private static JsonNode? Something(Random random, int depth) => random.Next(depth < 3 ? 12 : 9) switch
    {
        0 => null,
        1 => random.NextInt64(long.MinValue, long.MaxValue),
        2 => random.Next(-2, 70_000),
        3 => random.NextDouble() * 1e300,
        4 => random.Next(2) == 0,
        5 => "",
        6 => new string((char)random.Next(1, 0xFFFF), random.Next(1, 5000)),
        7 => "/images/web.img",
        8 => ulong.MaxValue,
        9 or 10 => new JsonArray([.. Enumerable.Range(0, random.Next(4)).Select(_ => Something(random, depth + 1))]),
        _ => new JsonObject([.. Enumerable.Range(0, random.Next(4)).Select(i => KeyValuePair.Create($"Path{i}", Something(random, depth + 1)))]),
    };

    /// <summary>Empty: taken. Otherwise the refusal, or the type of the exception.</summary>
    private static string Outcome(string text)
    {
        string refusal = "";
        VmProfile? read = null;
        Exception? thrown = Record.Exception(() => read = VmProfile.TryRead(text, out refusal));
        return thrown?.GetType().Name ?? (read is null ? refusal.Length > 0 ? refusal : "Exception: refused without a reason" : "");
    }

    private static string With(string place, string json)
    {
        JsonNode profile = JsonNode.Parse(Good)!;
        string[] steps = place.Split('/');
        JsonNode parent = profile;
        foreach (string step in steps[..^1])
        {
            parent = (int.TryParse(step, out int index) ? parent[index] : parent[step])!;
        }
        JsonNode? value = JsonNode.Parse(json);
        if (int.TryParse(steps[^1], out int last))
        {
            parent[last] = value;
        }
        else
        {
            parent[steps[^1]] = value;
        }
        return profile.ToJsonString(new JsonSerializerOptions());
    }

    private static IEnumerable<string> DeepOnes() =>
        [new string('[', 100_000), "{\"Disks\":" + new string('[', 100_000), Good.Replace("\"Disks\":", "\"Disks\":" + new string('[', 500) + "]", StringComparison.Ordinal)];
}
