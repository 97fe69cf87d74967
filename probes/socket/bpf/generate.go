package bpf

// The kernel programs are compiled by `make generate`; the results are
// committed, so that a build needs Go and nothing else.
//
//go:generate go tool bpf2go -cflags "-O2 -g -Wall -Werror -Wno-gnu-variable-sized-type-not-at-end -mcpu=v3 -fms-extensions -Wno-microsoft-anon-tag -Isrc -I../../headers $DEBUG_CFLAGS" -target amd64,arm64 -no-global-types -type record -type event -type kind -type mark -type reason -type evidence -type stat -type framing -type place -type said -type message -type progress -type snap_conn -type snap_listener -type snap_waiter -type snap_holder -type snap_kind -type wait_how -type stage -type framer -type phase -type process -type process_note -type process_did -type abandoned -type late_close -type layout SocketPlan src/socket.bpf.c
//go:generate go tool bpf2go -cflags "-O2 -g -Wall -Werror -Wno-gnu-variable-sized-type-not-at-end -mcpu=v3 -fms-extensions -Wno-microsoft-anon-tag -Isrc -I../../headers $DEBUG_CFLAGS" -target amd64,arm64 -no-global-types SyscallPlan src/syscall.bpf.c
