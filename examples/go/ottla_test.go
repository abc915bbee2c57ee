package orders

import (
	"bufio"
	"cmp"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
)

// startOttla starts a broker in memory on a free port, which ends with the test, and returns its
// address.
func startOttla(t *testing.T) string {
	t.Helper()
	binary := cmp.Or(os.Getenv("OTTLA_BIN"), "ottla")
	broker := exec.Command(binary, "serve", "--in-memory", "--listen", "127.0.0.1:0", "--ready-json")
	broker.Stderr = os.Stderr
	output, err := broker.StdoutPipe()
	if err == nil {
		err = broker.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = broker.Process.Signal(os.Interrupt)
		_ = broker.Wait()
	})
	line, err := bufio.NewReader(output).ReadBytes('\n')
	var ready struct{ Listeners []struct{ Address string } }
	if err == nil {
		err = json.Unmarshal(line, &ready)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ready.Listeners[0].Address
}
