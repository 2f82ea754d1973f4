package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) cmdServe() *cobra.Command {
	var addr string
	c := &cobra.Command{
		Use:     "serve DIR",
		Short:   "Serve a published tree over HTTP, with its install page",
		Example: `  distropack serve dist/public --listen 127.0.0.1:8008`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if st, err := os.Stat(args[0]); err != nil || !st.IsDir() {
				return usagef("%s is not a folder", args[0])
			}
			if _, _, err := net.SplitHostPort(addr); err != nil {
				return usagef("--listen %q: want HOST:PORT, such as 127.0.0.1:8008", addr)
			}
			l, err := net.Listen("tcp", addr)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "serving %s at http://%s/\n", args[0], l.Addr())
			return serve(c.Context(), l, args[0])
		},
	}
	c.Flags().StringVarP(&addr, "listen", "l", "127.0.0.1:8008", "the `address`")
	return c
}

// serve serves dir until the context ends. The folder is opened for each request,
// since a publish puts another one in its place.
func serve(ctx context.Context, l net.Listener, dir string) error {
	s := &http.Server{Handler: treeHandler(dir), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		s.Shutdown(end)
	})
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

var mediaTypes = map[string]string{
	".deb": "application/vnd.debian.binary-package", ".rpm": "application/x-rpm", ".sh": "text/x-shellscript; charset=utf-8",
	".repo": "text/plain; charset=utf-8", ".sources": "text/plain; charset=utf-8", ".list": "text/plain; charset=utf-8", ".asc": "text/plain; charset=utf-8",
	".json": "application/json", ".svg": "image/svg+xml", ".zst": "application/zstd", ".gz": "application/gzip", ".xz": "application/x-xz",
	".apk": "application/octet-stream", ".ipk": "application/octet-stream", ".db": "application/octet-stream", ".files": "application/octet-stream", ".sig": "application/octet-stream", ".rb": "text/plain; charset=utf-8",
}

func treeHandler(dir string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := path.Clean("/" + r.URL.Path)
		for _, part := range strings.Split(p, "/") {
			if strings.HasPrefix(part, ".") { // the tree's own state is nobody's business
				http.NotFound(w, r)
				return
			}
		}
		base := path.Base(p)
		if t, ok := mediaTypes[path.Ext(p)]; ok {
			w.Header().Set("Content-Type", t)
		} else if path.Ext(p) == "" && base != "/" && !strings.HasSuffix(r.URL.Path, "/") {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		}
		if strings.Contains(p, "/by-hash/") || strings.HasPrefix(p, "/pool/") || strings.HasPrefix(p, "/downloads/") && !strings.HasPrefix(path.Base(p), "SHA256SUMS") {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		} else {
			w.Header().Set("Cache-Control", "no-cache")
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		root, err := os.OpenRoot(dir)
		if err != nil {
			http.Error(w, "the tree is not there", http.StatusServiceUnavailable)
			return
		}
		defer root.Close()
		if st, err := root.Stat(strings.TrimPrefix(p, "/") + "/."); err == nil && st.IsDir() { // folders have pages, or nothing to show
			if _, err := root.Stat(path.Join(strings.TrimPrefix(p, "/"), "index.html")); err != nil {
				http.NotFound(w, r)
				return
			}
			w.Header().Del("Content-Type")
		}
		http.FileServerFS(root.FS()).ServeHTTP(w, r)
	})
}
