// CoreDNS with the plugins that the DNS of a closed cluster needs.
//
// The stock binary also carries the clients of three clouds, and takes twice as long to build.
// Its order asks template before kubernetes; here template comes last, to say of every other name
// that it does not exist.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

func main() {
	dnsserver.Directives = []string{
		"health", "ready", "errors", "cache", "loadbalance", "kubernetes", "template", "forward",
	}
	coremain.Run()
}
