// Package sandbox locks the agent in once its start-up is over: a system call
// filter on all threads allows what measuring needs, and nothing else.
//
// Two tasks remain outside the filter, in a helper process that is started
// before it. The helper starts the processes that read files of other users,
// which needs fork and exec. It also answers refused system calls: the kernel
// blocks a thread whose call was refused until a process answers. The agent
// cannot do that itself: its runtime stops all threads now and then, and would
// wait for a thread that waits for an answer. If the helper ends, the kernel
// answers ENOSYS instead.
package sandbox
