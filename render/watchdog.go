package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

const (
	lookEvery = 20 * time.Millisecond
	// restingBytes is what may stay mapped between requests.
	restingBytes = 80 << 20
)

// watchdog ends this process past its memory or its time: Go's own client cannot be cancelled, and not every system has the limits
// that confine sets. The agent kills sooner; this is for one that is gone.
type watchdog struct {
	memory   uint64
	deadline atomic.Int64
}

func watch(memory uint64) *watchdog {
	dog := &watchdog{memory: memory}
	go func() {
		for range time.Tick(lookEvery) {
			if mapped() > dog.memory {
				os.Exit(exitMemory)
			}
			if deadline := dog.deadline.Load(); deadline != 0 && time.Now().UnixNano() > deadline {
				os.Exit(exitTime)
			}
		}
	}()
	return dog
}

func (d *watchdog) until(allowed time.Duration) {
	if allowed > 0 {
		d.deadline.Store(time.Now().Add(allowed).UnixNano())
	}
}

func (d *watchdog) rest() {
	d.deadline.Store(0)
	if mapped() > restingBytes {
		debug.FreeOSMemory()
	}
}

// mapped is what the runtime holds of the system: all memory but what it gave back.
func mapped() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() - samples[1].Value.Uint64()
}
