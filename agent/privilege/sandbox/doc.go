// Package sandbox locks the agent in once its start-up is over: a filter of
// system calls on all threads allows what measuring takes, and nothing else.
//
// Two things outlive the filter in a helper, a process that is started before
// it: the processes that read files of other users, which take fork and exec,
// and the answers to refused system calls. The kernel holds a thread whose call
// was refused until somebody answers. That must not be the agent itself: its
// runtime stops all threads now and then, and would wait for one that waits for
// an answer. When the helper ends, the kernel answers ENOSYS in its place.
package sandbox
