namespace FtAkka.LogChannelActors.Tests.Remoting;

/// <summary>What an envelope may say of its sender, recipient and message.</summary>
public sealed class EnvelopeTests
{
    private const string Node = Guards.Ours + "/user/node";

    [Theory]
    [InlineData("/user/node")]
    [InlineData("/user/node#2147483647")]
    [InlineData("/temp/replica-vm1")]
    public void Listed_recipients_are_accepted(string path)
    {
        Assert.Null(Guards.Open().Refuse(Pdus.Tell(Guards.Ours + path, Guards.Theirs + "/user/node#5")));
        Assert.Null(Guards.Open().Refuse(Pdus.Tell(Guards.Ours + path)));
    }

    [Theory]
    [InlineData("/user/other")]
    [InlineData("/user/nodes")]
    [InlineData("/user/node/child")]
    [InlineData("/temp/replica-")]
    [InlineData("/temp/replica-vm1/child")]
    [InlineData("/temp/$a")]
    [InlineData("/system/remote-watcher")]
    [InlineData("/deadLetters")]
    public void Other_recipients_are_refused(string path) => Guards.Refuses(Guards.Open(), Pdus.Tell(Guards.Ours + path), "trusted-recipients");

    [Theory]
    [InlineData("/remote")]
    [InlineData("/remote/user/x")]
    [InlineData("/remotely")]
    public void Remote_deployment_is_refused_even_if_listed(string path) =>
        Guards.Refuses(Guards.Open("trusted-recipients = [\"/remote\", \"/*\", \"/remote/user/x\", \"/remotely\"]"), Pdus.Tell(Guards.Ours + path), "trusted-recipients");

    [Theory]
    [InlineData("/user/node/../other")]
    [InlineData("/temp/replica-x/../../user/secret")]
    [InlineData("/temp/replica-..")]
    [InlineData("/temp/replica-x/..")]
    [InlineData("/user//node")]
    [InlineData("/user/node/")]
    [InlineData("/user/node#")]
    [InlineData("/user/node#x")]
    [InlineData("/user/node#-1")]
    [InlineData("/user/node#2147483648")]
    [InlineData("/user/node#1#2")]
    [InlineData("/user#1/node")]
    [InlineData("/user/node%2e")]
    [InlineData("/temp/replica-\n")]
    [InlineData("/temp/replica-ä")]
    [InlineData("")]
    public void Paths_that_climb_or_do_not_parse_are_refused(string path)
    {
        if (path != "/temp/replica-..")
        {
            Guards.Refuses(Guards.Open(), Pdus.Tell(Guards.Ours + path), "recipient");
            Guards.Refuses(Guards.Open(), Pdus.Tell(Node, Guards.Theirs + path.Replace("/replica-ä", "/ä", StringComparison.Ordinal)), "sender");
        }
        else
        {
            // A name may end with points; Akka climbs at a name that is ".." and at no other.
            Assert.Null(Guards.Open().Refuse(Pdus.Tell(Guards.Ours + path)));
        }
    }

    [Fact]
    public void Endpoint_of_remoting_may_be_the_sender_although_its_name_holds_an_encoded_address() =>
        Assert.Null(Guards.Open().Refuse(Pdus.Tell(Node, Guards.Theirs + "/system/endpointManager/endpointWriter-akka.tcp%3A%2F%2Fft%40a%3A1-1")));

    [Theory]
    [InlineData("akka.tcp://ft@host-b:4054/user/node")]
    [InlineData("akka.tcp://ft@host-c:4053/user/node")]
    [InlineData("akka.tcp://other@host-b:4053/user/node")]
    [InlineData("akka.tcp://ft@host-b:40530/user/node")]
    [InlineData("akka://ft/user/node")]
    [InlineData("/user/node")]
    [InlineData("user/node")]
    public void Recipient_elsewhere_is_refused(string recipient) => Guards.Refuses(Guards.Open(), Pdus.Tell(recipient), "no path of an actor here");

    [Theory]
    [InlineData("akka.tcp://ft@host-c:4053/user/node")]
    [InlineData("akka.tcp://ft@host-b:4053/user/node")]
    [InlineData("akka.tcp://ft@host-a:40531/user/node")]
    [InlineData("akka.tcp://ft@host-a:4053")]
    [InlineData("akka.tcp://vm@host-a:4053/user/node")]
    [InlineData("akka.tcp://ft@HOST-A:4053/user/node")]
    [InlineData("akka://ft/user/node")]
    [InlineData("/user/node")]
    [InlineData("")]
    public void Sender_of_another_origin_is_refused(string sender) => Guards.Refuses(Guards.Open(), Pdus.Tell(Node, sender), "from " + Guards.Theirs);

    [Fact]
    public void Sender_that_is_there_without_a_path_is_refused()
    {
        var envelope = Pdus.Envelope(Node, Pdus.Message(Pdus.Wire, "la", []), null).Block(4, new ProtoWriter());
        Guards.Refuses(Guards.Open(), Pdus.Container(null, envelope), "sender");
    }

    [Fact]
    public void Too_long_a_path_is_refused()
    {
        Guards.Refuses(Guards.Open(), Pdus.Tell($"{Guards.Ours}/temp/replica-{new string('x', 1024)}"), "recipient");
        Guards.Refuses(Guards.Open(), Pdus.Tell(Node, $"{Guards.Theirs}/user/{new string('x', 1024)}"), "sender");
    }

    [Fact]
    public void Too_long_a_manifest_is_refused() =>
        Guards.Refuses(Guards.Open(), Pdus.Tell(Node, manifest: new string('m', 257)), "manifest");

    [Fact]
    public void Message_with_a_sequence_number_is_refused()
    {
        Guards.Refuses(Guards.Open(), Pdus.Tell(Node, sequence: 0), "system message");
        Guards.Refuses(Guards.Open(), Pdus.Tell(Node, sequence: 1UL << 40), "system message");
        // A field that is not there is zero to protobuf, and to Akka the first of the system messages.
        var envelope = new ProtoWriter().Block(1, Pdus.Path(Node)).Block(2, Pdus.Message(Pdus.Wire, "la", []));
        Guards.Refuses(Guards.Open(), Pdus.Container(null, envelope), "system message");
    }

    [Fact]
    public void Acknowledgements_alone_are_accepted()
    {
        Assert.Null(Guards.Open().Refuse(Pdus.Container(new ProtoWriter().Fixed(1, 4), null)));
        Assert.Null(Guards.Open().Refuse(Pdus.Container(new ProtoWriter().Fixed(1, 4).Fixed(2, 1).Fixed(2, 2), null)));
        Assert.Null(Guards.Open().Refuse(Pdus.Container(new ProtoWriter().Fixed(1, 4).Block(2, new byte[256 * 8]), null)));
    }

    [Fact]
    public void Too_many_negative_acknowledgements_are_refused()
    {
        Guards.Refuses(Guards.Open(), Pdus.Container(new ProtoWriter().Fixed(1, 4).Block(2, new byte[257 * 8]), null), "too many negative");
        Guards.Refuses(Guards.Open(), Pdus.Container(new ProtoWriter().Block(2, new byte[200 * 8]).Block(2, new byte[200 * 8]), null), "too many negative");
        Guards.Refuses(Guards.Open(), Pdus.Container(new ProtoWriter().Block(2, new byte[9]), null), "truncated");
    }
}
