// Command reverseproxy is the reference as a program of its own.
//
//	reverseproxy -listen 127.0.0.1:8081 -upstream 127.0.0.1:8080
package main

import (
	"flag"
	"log"
	"net/http"
	"time"

	"github.com/llmproxy/llmproxy/bench/internal/reference"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8081", "host:port to listen on")
	upstream := flag.String("upstream", "127.0.0.1:8080", "host:port to forward to")
	flag.Parse()
	s := &http.Server{Addr: *listen, Handler: reference.New(*upstream), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(s.ListenAndServe())
}
