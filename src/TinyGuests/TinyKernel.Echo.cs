using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.TinyGuests;

/// <summary>
/// echo: answers requests in raw Ethernet frames, each once, in sequence; a request that comes again gets the same answer
/// again. Format in <see cref="EchoFrame"/>. Ends after <c>requests=</c> answers; 0 is for ever.
/// </summary>
internal sealed partial class TinyKernel
{
    private const uint Reply = GuestLayout.TransmitBuffer + NetHeaderBytes;

    private void AssembleEcho()
    {
        Label ready = asm.CreateLabel();
        Label next = asm.CreateLabel();
        asm.Label(ref _echo);
        asm.cmp(__qword_ptr[NetWindow], 0);
        asm.jne(ready);
        Print("no network\n");
        asm.jmp(_reset);

        asm.Label(ref ready);
        Parameter("requests", TinyGuest.DefaultCount);
        asm.mov(r14, rax);
        asm.mov(rax, FoldStart);
        asm.mov(__qword_ptr[EchoState], rax);
        Print("echo ready\n");

        asm.Label(ref next);
        asm.call(_netReceive);
        asm.call(_echoFrame);
        asm.test(r14, r14);
        asm.je(next);
        asm.cmp(r14, __qword_ptr[EchoServed]);
        asm.jne(next);

        Print("echo served ");
        asm.mov(rdi, __qword_ptr[EchoServed]);
        asm.call(_printHex);
        Print(" ");
        asm.mov(rdi, __qword_ptr[EchoState]);
        asm.call(_printHex);
        Print("\n");
        asm.ret();
        AssembleEchoFrame();
    }

    /// <summary>Answers the frame that <c>_netReceive</c> gave, if it is a request, and releases it; changes every register but R14.</summary>
    private void AssembleEchoFrame()
    {
        Label release = asm.CreateLabel();
        Label resend = asm.CreateLabel();

        // RBX: frame, RBP: its length, R15: its descriptor.
        asm.Label(ref _echoFrame);
        asm.mov(rbx, rax);
        asm.mov(ebp, edx);
        asm.mov(r15d, ecx);
        AssembleCheckRequest(release);
        asm.mov(rax, __qword_ptr[rbx + EchoFrame.SequenceOffset]);
        asm.cmp(rax, __qword_ptr[EchoSequence]);
        asm.je(resend);
        asm.mov(rdx, __qword_ptr[EchoSequence]);
        asm.inc(rdx);
        asm.cmp(rax, rdx);
        asm.jne(release);
        AssembleAnswer();
        asm.inc(__qword_ptr[EchoServed]);

        asm.Label(ref resend);
        asm.mov(edi, __dword_ptr[EchoFrameBytes]);
        asm.test(edi, edi);
        asm.je(release); // sequence 0 before any request: nothing to repeat
        asm.call(_netSend);

        asm.Label(ref release);
        asm.mov(ecx, r15d);
        asm.call(_netRelease);
        asm.ret();
    }

    /// <summary>Leaves to <paramref name="drop"/> unless the frame is a whole request.</summary>
    private void AssembleCheckRequest(Label drop)
    {
        asm.cmp(ebp, EchoFrame.RequestHeaderBytes);
        asm.jb(drop);
        asm.cmp(__word_ptr[rbx + 12], unchecked((short)EchoFrame.EtherTypeLittleEndian));
        asm.jne(drop);
        asm.cmp(__dword_ptr[rbx + EchoFrame.MarkOffset], EchoFrame.RequestMark);
        asm.jne(drop);
        asm.movzx(eax, __word_ptr[rbx + EchoFrame.LengthOffset]);
        asm.cmp(eax, EchoFrame.PayloadBytesMax);
        asm.ja(drop);
        asm.add(eax, EchoFrame.RequestHeaderBytes);
        asm.cmp(eax, ebp);
        asm.ja(drop);
    }

    /// <summary>Builds the answer to the request at RBX in the transmit buffer and moves the state on.</summary>
    private void AssembleAnswer()
    {
        Label word = asm.CreateLabel();
        Label folded = asm.CreateLabel();
        Label longEnough = asm.CreateLabel();
        asm.mov(edi, Reply);
        asm.xor(eax, eax);
        asm.mov(ecx, EchoFrame.FrameBytesMin);
        asm.rep.stosb();
        asm.mov(edi, Reply);
        asm.lea(rsi, __[rbx + 6]);
        asm.mov(ecx, 6);
        asm.rep.movsb();
        asm.mov(esi, MacAddress);
        asm.mov(ecx, 6);
        asm.rep.movsb();
        asm.mov(__word_ptr[Reply + 12], unchecked((short)EchoFrame.EtherTypeLittleEndian));
        asm.mov(__dword_ptr[Reply + EchoFrame.MarkOffset], EchoFrame.ResponseMark);
        asm.mov(rax, __qword_ptr[rbx + EchoFrame.SequenceOffset]);
        asm.mov(__qword_ptr[EchoSequence], rax);
        asm.mov(__qword_ptr[Reply + EchoFrame.SequenceOffset], rax);
        asm.mov(r12, __qword_ptr[EchoState]);
        Fold();

        // The state folds the sequence and every payload byte; the payload travels back with all bits turned.
        asm.movzx(ecx, __word_ptr[rbx + EchoFrame.LengthOffset]);
        asm.mov(__word_ptr[Reply + EchoFrame.LengthOffset], cx);
        asm.lea(esi, __[rcx + EchoFrame.ResponseHeaderBytes]);
        asm.mov(__qword_ptr[EchoFrameBytes], rsi);
        asm.lea(rsi, __[rbx + EchoFrame.RequestHeaderBytes]);
        asm.mov(edi, Reply + EchoFrame.ResponseHeaderBytes);
        asm.test(ecx, ecx);
        asm.je(folded);
        asm.Label(ref word);
        asm.xor(eax, eax);
        asm.lodsb();
        asm.mov(r8d, eax);
        Fold();
        asm.not(r8d);
        asm.mov(eax, r8d);
        asm.stosb();
        asm.dec(ecx);
        asm.jne(word);
        asm.Label(ref folded);
        asm.mov(__qword_ptr[EchoState], r12);
        asm.mov(__qword_ptr[Reply + EchoFrame.StateOffset], r12);
        asm.mov(rax, __qword_ptr[EchoServed]);
        asm.inc(rax);
        asm.mov(__qword_ptr[Reply + EchoFrame.ServedOffset], rax);
        asm.cmp(__qword_ptr[EchoFrameBytes], EchoFrame.FrameBytesMin);
        asm.jae(longEnough);
        asm.mov(__qword_ptr[EchoFrameBytes], EchoFrame.FrameBytesMin);
        asm.Label(ref longEnough);
    }
}
