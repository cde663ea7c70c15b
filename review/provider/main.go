// Command provider serves the OpenID Connect provider that the review page's
// sign-in is tested against: Zitadel's, on loopback, with people of our own. It
// is a module of its own, so that the program has none of what it needs. It
// prints its issuer and ends when its standard input does.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// person is somebody who can sign in; the password is "verysecure".
type person struct {
	ID, Name, Email string
	Unverified      bool
	Groups          []string // nil: the provider does not tell
}

func main() {
	redirect := flag.String("redirect", "", "where browsers are sent back to")
	people := flag.String("people", "[]", "who can sign in, as JSON")
	flag.Parse()
	var list []person
	if err := json.Unmarshal([]byte(*people), &list); err != nil {
		log.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	issuer := "http://" + ln.Addr().String() + "/"
	storage.RegisterClients(storage.WebClient("pecrawler", "a secret", *redirect))
	st := &withGroups{storage.NewStorage(users(list)), list}
	go http.Serve(ln, exampleop.SetupServer(issuer, st, slog.New(slog.DiscardHandler), false))
	fmt.Println(issuer)
	io.Copy(io.Discard, os.Stdin)
}

// users are the people as the provider's store wants them.
type users []person

func (u users) GetUserByID(id string) *storage.User {
	for _, p := range u {
		if p.ID == id {
			return &storage.User{ID: p.ID, Username: p.Name, Password: "verysecure", FirstName: p.Name, Email: p.Email, EmailVerified: !p.Unverified}
		}
	}
	return nil
}

func (u users) GetUserByUsername(name string) *storage.User {
	for _, p := range u {
		if p.Name == name {
			return u.GetUserByID(p.ID)
		}
	}
	return nil
}

func (u users) ExampleClientID() string { return storage.ServiceUserID }

// withGroups tells the groups of people.
type withGroups struct {
	*storage.Storage
	people []person
}

func (s *withGroups) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, token, subject, origin string) error {
	if err := s.Storage.SetUserinfoFromToken(ctx, info, token, subject, origin); err != nil {
		return err
	}
	for _, p := range s.people {
		if p.ID == subject && p.Groups != nil {
			info.AppendClaims("groups", p.Groups)
		}
	}
	return nil
}
