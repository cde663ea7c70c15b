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
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
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
	st := &withGroups{Storage: storage.NewStorage(users(list)), people: list}
	go http.Serve(ln, exampleop.SetupServer(issuer, st, slog.New(slog.DiscardHandler), false))
	fmt.Println(issuer)
	for dec := json.NewDecoder(os.Stdin); dec.Decode(&list) == nil; { // what becomes of people later
		st.set(list)
		fmt.Println("noted")
		list = nil
	}
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

// withGroups tells the groups of people, as they are now. Whoever is no longer among
// them gets nothing new.
type withGroups struct {
	*storage.Storage
	mu     sync.Mutex
	people []person
}

func (s *withGroups) set(people []person) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.people = people
}

func (s *withGroups) byID(id string) (person, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.people, func(p person) bool { return p.ID == id })
	if i < 0 {
		return person{}, false
	}
	return s.people[i], true
}

func (s *withGroups) TokenRequestByRefreshToken(ctx context.Context, token string) (op.RefreshTokenRequest, error) {
	r, err := s.Storage.TokenRequestByRefreshToken(ctx, token)
	if err != nil {
		return nil, op.ErrInvalidRefreshToken
	}
	if _, ok := s.byID(r.GetSubject()); !ok {
		return nil, op.ErrInvalidRefreshToken
	}
	return r, nil
}

func (s *withGroups) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, token, subject, origin string) error {
	if err := s.Storage.SetUserinfoFromToken(ctx, info, token, subject, origin); err != nil {
		return err
	}
	if p, _ := s.byID(subject); p.Groups != nil {
		info.AppendClaims("groups", p.Groups)
	}
	return nil
}
