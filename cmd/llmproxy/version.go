package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// Set by the linker in a release: -ldflags '-X main.version=v1.2.3 -X main.commit=…'.
var (
	version string
	commit  string
)

// buildInfo returns three lines: version, commit, Go version and platform. What the
// linker did not set comes from what the go command noted in the binary.
func buildInfo() string {
	v, c, modified := version, commit, false
	if info, ok := debug.ReadBuildInfo(); ok {
		if v == "" && info.Main.Version != "(devel)" {
			v = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				if c == "" {
					c = s.Value
				}
			case "vcs.modified":
				modified = commit == "" && s.Value == "true"
			}
		}
	}
	if v == "" {
		v = "devel"
	}
	if c == "" {
		c = "unknown"
	}
	if modified {
		c += " (modified)"
	}
	return fmt.Sprintf("llmproxy %s\ncommit %s\n%s %s/%s\n", v, c, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// shortVersion returns the version alone.
func shortVersion() string {
	_, v, _ := strings.Cut(strings.SplitN(buildInfo(), "\n", 2)[0], " ")
	return v
}
