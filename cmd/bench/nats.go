package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"time"
)

// buildNATS builds the NATS server into a folder.
func buildNATS(ctx context.Context, dir string) (program string, err error) {
	program = filepath.Join(dir, "nats-server")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build nats-server: %w: %s", err, out)
	}
	return program, nil
}

// streamState is what a NATS server tells of a stream.
type streamState struct {
	Name    string `json:"name"`
	Cluster struct {
		Leader string `json:"leader"`
	} `json:"cluster"`
	State struct {
		Messages    int   `json:"messages"`
		Bytes       int64 `json:"bytes"`
		NumSubjects int   `json:"num_subjects"`
	} `json:"state"`
	Consumers []struct {
		Pending int `json:"num_pending"`
	} `json:"consumer_detail"`
}

// streamsAt asks a NATS server for the streams that it has.
func streamsAt(ctx context.Context, jsz string) (out []streamState, err error) {
	var said struct {
		Accounts []struct {
			Streams []streamState `json:"stream_detail"`
		} `json:"account_details"`
	}
	err = getJSON(ctx, jsz, &said)
	for _, a := range said.Accounts {
		out = append(out, a.Streams...)
	}
	return out, err
}

func getJSON(ctx context.Context, url string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(into)
}

// freeAddr is a port of loopback that nobody has.
func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// persist tries something each second until it goes well.
func persist(ctx context.Context, times int, try func() error) (err error) {
	for i := range times {
		if i > 0 {
			if err := pause(ctx, time.Second); err != nil {
				return err
			}
		}
		if err = try(); err == nil {
			return nil
		}
	}
	return err
}
