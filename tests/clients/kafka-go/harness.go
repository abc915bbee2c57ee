package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

// within bounds every wait; only a broker that does not answer takes as long.
const within = 30 * time.Second

var stdin = bufio.NewReader(os.Stdin)

// scenario reports how run went: a failed expectation panics.
func scenario(name string, run func()) {
	defer func() {
		if failure := recover(); failure != nil {
			fmt.Println("FAIL", name, strings.ReplaceAll(fmt.Sprint(failure), "\n", " "))
			return
		}
		fmt.Println("ok", name)
	}()
	run()
}

func check(condition bool, otherwise string) {
	if !condition {
		panic(otherwise)
	}
}

func none(err error) {
	if err != nil {
		panic(err)
	}
}

func must[T any](value T, err error) T {
	none(err)
	return value
}

func same[T any](expected, found T) {
	a, b := fmt.Sprint(expected), fmt.Sprint(found)
	check(a == b, fmt.Sprintf("expected %s, found %s", a, b))
}

func fails(expected, found error) {
	check(errors.Is(found, expected), fmt.Sprintf("expected %v, found %v", expected, found))
}

func eventually(holds func() bool, what string) {
	for deadline := time.Now().Add(within); !holds(); time.Sleep(20 * time.Millisecond) {
		check(time.Now().Before(deadline), "expected "+what)
	}
}

func numbered(from, to int) []string {
	var values []string
	for i := from; i < to; i++ {
		values = append(values, fmt.Sprint("v", i))
	}
	return values
}

func moduleVersion(path string) string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == path {
			return module.Version
		}
	}
	return "unknown"
}
