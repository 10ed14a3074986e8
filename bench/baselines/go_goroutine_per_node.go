// A goroutine a node, a channel a node, a message a neighbour and cycle: go build -o PROGRAM go_goroutine_per_node.go.
// All cycle together: after the barrier a node's channel holds what all of its peers published, so that reading never waits,
// and it is long enough for two cycles, so that writing never does. A channel a link instead, without a barrier, costs twice
// as much time: every read may then put the goroutine to sleep.
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	peers      = 8
	weight     = float32(0.9) // of the peers' mean against the own state
	checkCycle = 4            // all baselines must have converged alike after this many
)

type point struct{ X, Y float32 }

type node struct {
	inbox  chan point
	tellTo [peers]chan point
}

// Holds the goroutines until all of a cycle have come. Two gates: that of the next cycle is hung before this one opens.
type barrier struct {
	running int32
	nodes   int32
	gates   [2]chan struct{}
}

func (b *barrier) wait(cycle uint32) {
	gate := b.gates[cycle%2]
	if atomic.AddInt32(&b.running, -1) > 0 {
		<-gate
		return
	}
	b.running = b.nodes
	b.gates[(cycle+1)%2] = make(chan struct{})
	close(gate)
}

func fail(what string) {
	fmt.Fprintln(os.Stderr, what)
	os.Exit(1)
}

// Which of the messages of a node's cycle arrive: the lowest bit of each byte. As in work.h.
func arrived(self, cycle uint32, lost uint64) uint64 {
	bits := uint64(self) + uint64(cycle)<<32
	bits = (bits ^ bits>>32) * 0xd6e8feb86659fd93
	bits = (bits ^ bits>>32) * 0xd6e8feb86659fd93
	bits ^= bits >> 32
	return ((bits&0x7f7f7f7f7f7f7f7f + (128-lost)*0x0101010101010101) >> 7) & 0x0101010101010101
}

func (n *node) run(self uint32, state point, cycles uint32, lost uint64, all *barrier, check, after []point) {
	for cycle := uint32(0); cycle < cycles; cycle++ {
		for _, to := range &n.tellTo {
			to <- state
		}
		all.wait(cycle)
		var sum point
		number := float32(0)
		arrives := arrived(self, cycle, lost)
		for k := 0; k < peers; k++ {
			said := <-n.inbox
			if arrives&1 != 0 {
				sum.X += said.X
				sum.Y += said.Y
				number++
			}
			arrives >>= 8
		}
		if number > 0 {
			state.X += weight * (sum.X/number - state.X)
			state.Y += weight * (sum.Y/number - state.Y)
		}
		if cycle+1 == checkCycle {
			check[self] = state
		}
	}
	after[self] = state
}

// Standard deviation of the nodes' states, both dimensions taken together.
func spread(states []point) float64 {
	n := float64(len(states))
	var x, y, squares float64
	for _, s := range states {
		x += float64(s.X) / n
		y += float64(s.Y) / n
	}
	for _, s := range states {
		squares += (float64(s.X)-x)*(float64(s.X)-x) + (float64(s.Y)-y)*(float64(s.Y)-y)
	}
	return math.Sqrt(squares / n)
}

func residentBytes() int {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		fail(err.Error())
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		fail(err.Error())
	}
	return pages * os.Getpagesize()
}

func main() {
	if len(os.Args) != 5 {
		fail("usage: " + os.Args[0] + " NETWORK CYCLES LOST THREADS")
	}
	var numbers [3]int
	for i := range numbers {
		var err error
		if numbers[i], err = strconv.Atoi(os.Args[i+2]); err != nil {
			fail(err.Error())
		}
	}
	cycles, lost, threads := numbers[0], numbers[1], numbers[2]
	if cycles < checkCycle || lost < 0 || lost > 128 || threads < 1 {
		fail("CYCLES must be at least 4, LOST at most 128 and THREADS at least 1")
	}
	runtime.GOMAXPROCS(threads)

	file, err := os.ReadFile(os.Args[1])
	if err != nil {
		fail(err.Error())
	}
	if len(file) < 4 || len(file) != 4+int(binary.LittleEndian.Uint32(file))*(4*peers+8) {
		fail(os.Args[1] + " is no network file; compare.py makes them")
	}
	nodes := int(binary.LittleEndian.Uint32(file))
	listeners := make([]uint32, nodes*peers)
	for i := range listeners {
		listeners[i] = binary.LittleEndian.Uint32(file[4+4*i:])
	}
	start := make([]point, nodes)
	for i := range start {
		at := file[4+4*peers*nodes+8*i:]
		start[i].X = math.Float32frombits(binary.LittleEndian.Uint32(at))
		start[i].Y = math.Float32frombits(binary.LittleEndian.Uint32(at[4:]))
	}
	file = nil
	check := make([]point, nodes)
	after := make([]point, nodes)
	debug.FreeOSMemory()

	residentBefore := residentBytes()
	setup := time.Now()
	all := make([]node, nodes)
	for i := range all {
		all[i].inbox = make(chan point, 2*peers)
	}
	for i := range all {
		for k := range &all[i].tellTo {
			all[i].tellTo[k] = all[listeners[peers*i+k]].inbox
		}
	}
	together := barrier{running: int32(nodes), nodes: int32(nodes)}
	together.gates[0] = make(chan struct{})
	var begin, end sync.WaitGroup
	begin.Add(1)
	end.Add(nodes)
	for i := range all {
		go func(self uint32) {
			begin.Wait()
			all[self].run(self, start[self], uint32(cycles), uint64(lost), &together, check, after)
			end.Done()
		}(uint32(i))
	}
	started := time.Now()
	begin.Done()
	end.Wait()
	seconds := time.Since(started).Seconds()
	grown := residentBytes() - residentBefore

	result, err := json.Marshal(map[string]any{
		"name":                   "go_goroutine_per_node",
		"version":                runtime.Version(),
		"nodes":                  nodes,
		"threads":                threads,
		"cycles":                 cycles,
		"setup_seconds":          started.Sub(setup).Seconds(),
		"seconds":                seconds,
		"node_cycles_per_second": float64(nodes) * float64(cycles) / seconds,
		"bytes_per_node":         float64(grown) / float64(nodes),
		"spread_before":          spread(start),
		"spread_check":           spread(check),
		"spread_after":           spread(after),
	})
	if err != nil {
		fail(err.Error())
	}
	io.WriteString(os.Stdout, string(result)+"\n")
}
