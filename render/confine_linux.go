package main

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// confine takes from this process what it never needs: memory past a limit, core dumps, new privileges, and all system calls that
// seccomp.go does not list. Threads that are there already are confined with it.
func confine(memory uint64, seccomp bool) (string, error) {
	if err := limited(); err != nil {
		return "", err
	}
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: memory, Max: memory}); err != nil {
		return "", err
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return "", err
	}
	if !seccomp {
		return "code", nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return "", err
	}
	filter := program(uint32(unix.Getpid()))
	with := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, failed := unix.Syscall(
		unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&with)),
	)
	if failed != 0 {
		return "", failed
	}
	return "seccomp", nil
}
