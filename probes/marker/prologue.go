package marker

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
)

// maxPrologue is how much of a function's code is looked at, in bytes.
const maxPrologue = 32

// prologue is the number of bytes at a function's begin that the probe is to
// stand behind. It is 0 for most.
func prologue(machine elf.Machine, code []byte) uint64 {
	switch machine {
	case elf.EM_X86_64:
		if bytes.HasPrefix(code, endbr64) {
			return uint64(len(endbr64))
		}
		return stackCheckAMD64(code)
	case elf.EM_AARCH64:
		return stackCheckARM64(code)
	}
	return 0
}

// endbr64 begins functions of programs that are built for indirect branch
// tracking. The kernel carries the instruction out in a step of its own, which
// costs more than one that it can emulate.
var endbr64 = []byte{0xf3, 0x0f, 0x1e, 0xfa}

// A function of Go begins with a check of its stack. Where it fails, as it does
// too when the scheduler wants the thread, the function is entered a second
// time: only what stands behind the check is passed once per call.

// stackCheckAMD64 is the length of that check: the stack pointer, or for large
// frames a register that is set to less, is compared with a field of the
// goroutine (r14), and a branch follows.
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

// stackCheckARM64 is the same: ldr x16, [x28, #16], then up to two
// instructions that make up what is compared, cmp, and b.ls.
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
