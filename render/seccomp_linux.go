package main

import "golang.org/x/sys/unix"

// allowed are the calls that Go's runtime makes once a program runs that reads and writes two pipes. Further ones are listed by
// architecture, and three more are allowed by their arguments: see program.
var allowed = append([]uint32{
	unix.SYS_READ, unix.SYS_WRITE, unix.SYS_CLOSE,
	unix.SYS_MUNMAP, unix.SYS_MADVISE, unix.SYS_MINCORE, unix.SYS_BRK,
	unix.SYS_FUTEX, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_CLOCK_GETTIME, unix.SYS_GETTIMEOFDAY,
	unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY, unix.SYS_RESTART_SYSCALL, unix.SYS_MEMBARRIER,
	unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK,
	unix.SYS_GETPID, unix.SYS_GETTID, unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
	unix.SYS_SET_ROBUST_LIST, unix.SYS_RSEQ, unix.SYS_GETRANDOM,
	unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EVENTFD2,
}, allowedHere...)

const (
	offsetCall     = 0
	offsetArch     = 4
	offsetArgument = 16
)

// argument is where the lower half of an argument stands in what the kernel shows a filter. Both architectures are little-endian.
func argument(number uint32) uint32 { return offsetArgument + 8*number }

// program is the filter: what is not allowed fails with EPERM, which Go's libraries report as an error.
func program(process uint32) []unix.SockFilter {
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	// equal goes on with the next instruction, or skips as many where it is another value.
	equal := func(value uint32, otherwise uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: value, Jf: otherwise}
	}
	anyBit := func(bits uint32, whenSet, otherwise uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: bits, Jt: whenSet, Jf: otherwise}
	}
	allow := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
	deny := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}
	kill := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_KILL_PROCESS}

	ours := unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: architecture, Jt: 1}
	made := []unix.SockFilter{load(offsetArch), ours, kill, load(offsetCall)}
	for _, call := range allowed {
		made = append(made, equal(call, 1), allow)
	}
	// Memory that is never code.
	for _, call := range []uint32{unix.SYS_MMAP, unix.SYS_MPROTECT} {
		made = append(made, equal(call, 4), load(argument(2)), anyBit(unix.PROT_EXEC, 1, 0), allow, deny)
	}
	// Threads, and no processes.
	made = append(made, equal(unix.SYS_CLONE, 4), load(argument(0)), anyBit(unix.CLONE_THREAD, 0, 1), allow, deny)
	// Signals to this process itself, by which Go's scheduler interrupts a thread.
	made = append(made, equal(unix.SYS_TGKILL, 4), load(argument(0)), equal(process, 1), allow, deny)
	// Names for memory.
	made = append(made, equal(unix.SYS_PRCTL, 4), load(argument(0)), equal(unix.PR_SET_VMA, 1), allow, deny)
	return append(made, deny)
}
