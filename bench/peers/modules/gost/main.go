// The gost engine (github.com/go-gost/x) started from one configuration file, with the protocols this bench uses.
package main

import (
	"fmt"
	"log"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/go-gost/x/config"
	"github.com/go-gost/x/config/loader"
	"github.com/go-gost/x/config/parsing/parser"
	"github.com/go-gost/x/registry"

	_ "github.com/go-gost/x/connector/direct"
	_ "github.com/go-gost/x/connector/forward"
	_ "github.com/go-gost/x/connector/http"
	_ "github.com/go-gost/x/connector/relay"
	_ "github.com/go-gost/x/connector/tcp"
	_ "github.com/go-gost/x/connector/tunnel"
	_ "github.com/go-gost/x/dialer/direct"
	_ "github.com/go-gost/x/dialer/mtls"
	_ "github.com/go-gost/x/dialer/tcp"
	_ "github.com/go-gost/x/dialer/tls"
	_ "github.com/go-gost/x/dialer/udp"
	_ "github.com/go-gost/x/handler/forward/local"
	_ "github.com/go-gost/x/handler/forward/remote"
	_ "github.com/go-gost/x/handler/relay"
	_ "github.com/go-gost/x/handler/tunnel"
	_ "github.com/go-gost/x/listener/mtls"
	_ "github.com/go-gost/x/listener/rtcp"
	_ "github.com/go-gost/x/listener/rudp"
	_ "github.com/go-gost/x/listener/tcp"
	_ "github.com/go-gost/x/listener/tls"
	_ "github.com/go-gost/x/listener/udp"
)

func engineVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, module := range info.Deps {
		if module.Path == "github.com/go-gost/x" {
			return module.Version
		}
	}
	return "unknown"
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: gost CONFIG.yml | gost --version")
	}
	if os.Args[1] == "--version" {
		fmt.Println("gost engine (go-gost/x)", engineVersion())
		return
	}
	parser.Init(parser.Args{CfgFiles: []string{os.Args[1]}})
	settings, err := parser.Parse()
	if err != nil {
		log.Fatal(err)
	}
	config.Set(settings)
	if err := loader.Load(settings); err != nil {
		log.Fatal(err)
	}
	for _, service := range registry.ServiceRegistry().GetAll() {
		go func() {
			if err := service.Serve(); err != nil {
				log.Print(err)
			}
		}()
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
}
