// Package harness is what the scenarios of the clients in Go are made of.
package harness

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

// Within bounds every wait; only a broker that does not answer takes as long.
const Within = 30 * time.Second

// Stdin is how the harness of tests/src/clients answers.
var Stdin = bufio.NewReader(os.Stdin)

// Scenario reports how run went: a failed expectation panics.
func Scenario(name string, run func()) {
	defer func() {
		if failure := recover(); failure != nil {
			fmt.Println("FAIL", name, strings.ReplaceAll(fmt.Sprint(failure), "\n", " "))
			return
		}
		fmt.Println("ok", name)
	}()
	run()
}

// Check panics unless the condition holds.
func Check(condition bool, otherwise string) {
	if !condition {
		panic(otherwise)
	}
}

// None panics with an error.
func None(err error) {
	if err != nil {
		panic(err)
	}
}

// Must is the value of a call that must not fail.
func Must[T any](value T, err error) T {
	None(err)
	return value
}

// Same compares by how the values print.
func Same[T any](expected, found T) {
	a, b := fmt.Sprint(expected), fmt.Sprint(found)
	Check(a == b, fmt.Sprintf("expected %s, found %s", a, b))
}

// Fails checks that the error found is, or wraps, the expected one.
func Fails(expected, found error) {
	Check(errors.Is(found, expected), fmt.Sprintf("expected %v, found %v", expected, found))
}

// Eventually waits until the condition holds.
func Eventually(holds func() bool, what string) {
	for deadline := time.Now().Add(Within); !holds(); time.Sleep(20 * time.Millisecond) {
		Check(time.Now().Before(deadline), "expected "+what)
	}
}

// Numbered gives the values of the records sent: v0, v1 and so on.
func Numbered(from, to int) []string {
	var values []string
	for i := from; i < to; i++ {
		values = append(values, fmt.Sprint("v", i))
	}
	return values
}

// ModuleVersion tells which version of a module was built in.
func ModuleVersion(path string) string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == path {
			return module.Version
		}
	}
	return "unknown"
}
