//go:build unix

package main

import "golang.org/x/sys/unix"

// limited is what every system has: no core dump, no file that grows.
func limited() error {
	for _, resource := range []int{unix.RLIMIT_CORE, unix.RLIMIT_FSIZE} {
		if err := unix.Setrlimit(resource, &unix.Rlimit{}); err != nil {
			return err
		}
	}
	return nil
}
