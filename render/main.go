// Command signet-render builds kustomizations for the agent: files come in over standard input, objects go out over standard
// output, and it opens nothing, sends nothing and starts nothing. It sees placeholders where the agent knows secrets.
//
// A request is a frame (see frame.go) and is answered by one, in order, until standard input ends.
//
//go:debug containermaxprocs=0
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log"
	"os"
	"runtime"
	"runtime/debug"
)

// build is the digest of this program's sources, set by the linker. What was rendered by another build is rendered again.
var build = "development"

const (
	exitUsage     = 2
	exitMemory    = 3
	exitTime      = 4
	exitConfine   = 5
	exitConnected = 6
)

const (
	largestStack = 64 << 20
	processors   = 2
	// garbage is how much more than what lives may be kept, in percent: a build makes much that lives for a moment.
	garbage = 600
)

func main() {
	memory := flag.Uint64("memory", 512<<20, "bytes that this process may use")
	seccomp := flag.Bool("seccomp", true, "refuse system calls; without it the code's own refusals stand alone")
	version := flag.Bool("version", false, "print what this program is, as JSON, and end")
	flag.Parse()
	if flag.NArg() > 0 {
		os.Exit(exitUsage)
	}
	if *version {
		if json.NewEncoder(os.Stdout).Encode(itself("")) != nil {
			os.Exit(exitConnected)
		}
		return
	}
	log.SetOutput(io.Discard) // kustomize warns there
	debug.SetMaxStack(largestStack)
	debug.SetGCPercent(garbage)
	debug.SetMemoryLimit(int64(*memory / 2))
	runtime.GOMAXPROCS(processors) // set by hand, it is not read again from files that cannot be opened any more
	refuseNetwork()
	confined, err := confine(*memory, *seccomp)
	if err != nil {
		os.Exit(exitConfine)
	}
	dog := watch(*memory)
	if err := serve(bufio.NewReader(os.Stdin), os.Stdout, newServer(confined, dog)); err != nil && !errors.Is(err, io.EOF) {
		os.Exit(exitConnected)
	}
}
