package elffile

import (
	"bytes"
	"debug/elf"
	"encoding/binary"

	"golang.org/x/arch/x86/x86asm"
)

// maxPrologue is how much of a function's code is looked at, in bytes.
const maxPrologue = 64

// place finds where after the start of a function the probe goes. Each call passes that
// place. It is cheap if the kernel can emulate the instruction there. Otherwise the
// kernel lets the program step over it, which costs ten times as much, and more in a
// virtual machine.
func place(machine elf.Machine, code []byte) (at uint64, cheap bool) {
	switch machine {
	case elf.EM_X86_64:
		at, cheap = placeAMD64(code)
	case elf.EM_AARCH64:
		at, cheap = stackCheckARM64(code), true
	default:
		return 0, true
	}
	if at > uint64(len(code)) { // the file ends in the middle of an instruction
		return 0, false
	}
	return at, cheap
}

// placeAMD64 takes the first instruction that the kernel emulates, as long as the code
// goes straight on.
func placeAMD64(code []byte) (at uint64, cheap bool) {
	begin := stackCheckAMD64(code)
	if bytes.HasPrefix(code, endbr64) {
		begin = uint64(len(endbr64))
	}
	for at := begin; at < uint64(len(code)); {
		if emulated(code[at:]) {
			return at, true
		}
		in, err := x86asm.Decode(code[at:], 64)
		if err != nil || leaves(in.Op) {
			break
		}
		at += uint64(in.Len)
	}
	return begin, false
}

// endbr64 is at the start of functions in programs that are built for indirect branch
// tracking.
var endbr64 = []byte{0xf3, 0x0f, 0x1e, 0xfa}

// leaves reports whether execution may continue elsewhere after such an instruction.
func leaves(op x86asm.Op) bool {
	switch op {
	case x86asm.RET, x86asm.LRET, x86asm.JMP, x86asm.LJMP, x86asm.CALL, x86asm.LCALL,
		x86asm.LOOP, x86asm.LOOPE, x86asm.LOOPNE, x86asm.JRCXZ, x86asm.JECXZ,
		x86asm.INT, x86asm.SYSCALL, x86asm.SYSENTER, x86asm.UD2, x86asm.HLT:
		return true
	}
	return false
}

// emulated reports whether Linux emulates the instruction: a push of a register, a jump,
// call or branch to a fixed place, and a plain nop.
func emulated(code []byte) bool {
	if len(code) < 2 {
		return false // other instructions follow such an instruction
	}
	switch op, next := code[0], code[1]; {
	case op&0xf8 == 0x50, op == 0x41 && next&0xf8 == 0x50: // push
		return true
	case op == 0x90, op == 0xe8, op == 0xe9, op == 0xeb: // nop, call, jmp
		return true
	case op&0xf0 == 0x70, op == 0x0f && next&0xf0 == 0x80: // branches
		return true
	}
	return false
}

// A function of Go starts with a check of its stack. If the check fails, which also
// happens when the scheduler wants the thread, the function is entered a second time.
// Only what comes after the check is passed once per call.

// stackCheckAMD64 returns the length of that check. It compares the stack pointer, or for
// large frames a register that is set to less, with a field of the goroutine (r14). A
// branch follows.
func stackCheckAMD64(code []byte) uint64 {
	at := 0
	switch {
	case bytes.HasPrefix(code, []byte{0x4c, 0x8d, 0x64, 0x24}): // lea r12, [rsp-8 bits]
		at = 5
	case bytes.HasPrefix(code, []byte{0x4c, 0x8d, 0xa4, 0x24}): // lea r12, [rsp-32 bits]
		at = 8
	}
	rest := code[min(at, len(code)):]
	if !bytes.HasPrefix(rest, []byte{0x49, 0x3b, 0x66, 0x10}) && // cmp rsp, [r14+16]
		!bytes.HasPrefix(rest, []byte{0x4d, 0x3b, 0x66, 0x10}) { // cmp r12, [r14+16]
		return 0
	}
	switch rest = rest[4:]; {
	case bytes.HasPrefix(rest, []byte{0x76}): // jbe, 8 bits
		return uint64(at + 4 + 2)
	case bytes.HasPrefix(rest, []byte{0x0f, 0x86}): // jbe, 32 bits
		return uint64(at + 4 + 6)
	}
	return 0
}

// stackCheckARM64 does the same for ldr x16, [x28, #16], then up to two instructions that
// compute the value to compare, cmp, and b.ls.
func stackCheckARM64(code []byte) uint64 {
	const load, branch, branchMask = 0xf9400b90, 0x54000009, 0xff00001f
	for at := 0; at+4 <= len(code) && at <= 16; at += 4 {
		word := binary.LittleEndian.Uint32(code[at:])
		if at == 0 && word != load {
			return 0
		}
		if word&branchMask == branch {
			return uint64(at + 4)
		}
	}
	return 0
}
