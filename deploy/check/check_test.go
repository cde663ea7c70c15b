// Package check renders what deploy/ has for Compose and Kubernetes and compares
// it with the definitions of its fields, offline: a field that nobody knows is a
// fault. It also holds what must be so of every container of ours.
package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/yannh/kubeconform/pkg/validator"
	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

func loadCompose(t *testing.T, files ...string) (*types.Project, error) {
	t.Helper()
	// What up.sh makes; only that it is there matters.
	env := filepath.Join("..", "compose", "keys", "nats.env")
	if _, err := os.Stat(env); err != nil {
		if err := os.MkdirAll(filepath.Dir(env), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(env, []byte("PECRAWLER_SYS=x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(filepath.Dir(env)) })
	}
	o, err := cli.NewProjectOptions(files, cli.WithProfiles([]string{"*"}))
	if err != nil {
		t.Fatal(err)
	}
	return o.LoadProject(t.Context())
}

// rolesOf says which one role of NATS each program has the key of.
var rolesOf = map[string]string{"streams": "admin", "worker": "worker", "collect": "collector", "review": "launcher", "launch": "launcher"}

func TestCompose(t *testing.T) {
	p, err := loadCompose(t, "../compose/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range p.Services {
		if name == "owner" { // gives volumes to our user, without a network, and ends
			if s.NetworkMode != "none" {
				t.Errorf("%s has a network", name)
			}
			continue
		}
		if !s.ReadOnly || s.Privileged || !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s: want read_only, cap_drop ALL and no-new-privileges, and no more rights", name)
		}
		if s.User == "0:0" {
			t.Errorf("%s runs as root", name)
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: the port %s is open to others than this machine", name, port.Published)
			}
		}
		if _, out := s.Networks["outer"]; out && name != "worker" {
			t.Errorf("%s reaches the internet; only workers may", name)
		}
		for _, v := range s.Volumes {
			if strings.Contains(v.Source, "docker.sock") {
				t.Errorf("%s has the socket of docker", name)
			}
			if v.Type != "bind" || strings.Contains(v.Source, filepath.Join("deploy", "nats")) {
				continue // roles.conf is tested where it is
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, name := range []string{"worker", "review"} {
		if s := p.Services[name]; !slices.ContainsFunc(s.SecurityOpt, func(o string) bool { return strings.HasSuffix(o, "seccomp/chromium.json") }) {
			t.Errorf("%s has no profile for Chromium's sandbox: %v", name, s.SecurityOpt)
		}
	}
	for name, own := range rolesOf {
		var has []string
		for _, s := range p.Services[name].Secrets {
			if role := strings.TrimPrefix(s.Source, "nats-"); role != s.Source && !slices.Contains([]string{"ca", "client-cert", "client-key"}, role) {
				has = append(has, role)
			}
		}
		if !slices.Equal(has, []string{own}) {
			t.Errorf("%s has the keys of %v, want that of %s", name, has, own)
		}
	}
	if desk := p.Networks["desk"]; desk.DriverOpts["com.docker.network.bridge.enable_ip_masquerade"] != "false" {
		t.Error("there is a way out of the network desk")
	} else if r := p.Services["review"]; !slices.Contains(r.Command, desk.Ipam.Config[0].Gateway+"/32") || r.NetworkMode == "host" {
		t.Errorf("review lets in others than the machine itself, %s: %v", desk.Ipam.Config[0].Gateway, r.Command)
	}
	for name, c := range p.Configs {
		if c.Content != "" {
			t.Errorf("the config %s is text, which compose refuses where the root is read-only", name)
		}
		if _, err := os.Stat(c.File); err != nil {
			t.Error(err)
		}
	}
	if !p.Networks["inner"].Internal {
		t.Error("the inner network has a way out")
	}

	raw, err := os.ReadFile("../compose/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	wrong := filepath.Join(t.TempDir(), "compose.yaml")
	if err := os.WriteFile(wrong, bytes.Replace(raw, []byte("read_only: true"), []byte("readonly: true"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := loadCompose(t, wrong); err == nil {
		t.Error("a misspelt field was planted and not found")
	}
}

// TestComposeLab: beside the test web, nothing of the fleet reaches the internet.
func TestComposeLab(t *testing.T) {
	p, err := loadCompose(t, "../compose/compose.yaml", "../compose/lab.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range p.Networks {
		if !n.Internal && name != "desk" {
			t.Errorf("the network %s has a way out", name)
		}
	}
	if s := p.Services["lab"]; !s.ReadOnly || len(s.CapAdd) > 0 || len(s.Ports) > 0 {
		t.Error("lab: want read_only, no capability and no port")
	}
	if c := p.Services["worker"].Configs; len(c) != 1 || c[0].Source != "lab" {
		t.Errorf("the worker has the settings %v", c)
	}
}

// TestComposePostgres: the second file fits onto the first, and opens nothing.
func TestComposePostgres(t *testing.T) {
	p, err := loadCompose(t, "../compose/compose.yaml", "../compose/postgres.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"store", "collect", "review"} {
		if s := p.Services[name]; !s.ReadOnly || len(s.CapAdd) > 0 || s.Environment["PECRAWLER_STORE_FILE"] == nil {
			t.Errorf("%s: want read_only, and the place of the store", name)
		}
	}
	if s := p.Services["postgres"]; len(s.Ports) > 0 || len(s.Networks) != 1 {
		t.Errorf("the server of the store is reached from elsewhere: %v, %v", s.Ports, s.Networks)
	}
	if s := p.Services["collect"]; len(s.Volumes) > 0 {
		t.Errorf("two collectors share a folder: %v", s.Volumes)
	}
}

// TestComposeNotify: what sends to a webhook has a way out of its own, and nothing
// else of the fleet has it.
func TestComposeNotify(t *testing.T) {
	p, err := loadCompose(t, "../compose/compose.yaml", "../compose/notify.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range p.Services {
		if _, out := s.Networks["hooks"]; out != (name == "notify") {
			t.Errorf("%s and the way out to webhooks: %v", name, out)
		}
	}
	s := p.Services["notify"]
	if _, out := s.Networks["outer"]; out || !s.ReadOnly || len(s.CapAdd) > 0 || len(s.Volumes) > 0 || len(s.Ports) > 0 {
		t.Errorf("notify has more than it needs: %+v", s)
	}
}

func render(t *testing.T, dir string) []byte {
	t.Helper()
	m, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := m.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// invalid says what the schemas have against resources.
func invalid(t *testing.T, raw []byte) (out []string) {
	t.Helper()
	v, err := validator.New([]string{"schemas/{{ .ResourceKind }}.json"}, validator.Opts{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range v.Validate("rendered", io.NopCloser(bytes.NewReader(raw))) {
		if r.Status != validator.Valid && r.Status != validator.Empty {
			sig, _ := r.Resource.Signature()
			out = append(out, fmt.Sprintf("%s %s: %v", sig.Kind, sig.Name, r.Err))
		}
	}
	return out
}

type object = map[string]any

func at(o any, path ...string) any {
	for _, p := range path {
		m, _ := o.(object)
		o = m[p]
	}
	return o
}

func TestKubernetes(t *testing.T) {
	for _, dir := range []string{"../kubernetes/base", "../kubernetes/example"} {
		raw := render(t, dir)
		for _, f := range invalid(t, raw) {
			t.Errorf("%s: %s", dir, f)
		}
		kinds := map[string]int{}
		dec := yaml.NewDecoder(bytes.NewReader(raw))
		for {
			var o object
			if err := dec.Decode(&o); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			kind, name := o["kind"].(string), at(o, "metadata", "name").(string)
			kinds[kind]++
			if kind == "Secret" {
				t.Errorf("%s: the secret %s is in the manifests; name it only", dir, name)
			}
			if pod, ok := at(o, "spec", "template", "spec").(object); ok {
				checkPod(t, dir+" "+name, pod)
			}
			if kind == "NetworkPolicy" {
				checkPolicy(t, dir+" "+name, o)
			}
		}
		for _, k := range []string{"Deployment", "StatefulSet", "Job", "ScaledObject", "PodDisruptionBudget", "NetworkPolicy", "Namespace", "ConfigMap"} {
			if kinds[k] == 0 {
				t.Errorf("%s has no %s", dir, k)
			}
		}
	}
	raw := render(t, "../kubernetes/base")
	for _, typo := range [][2]string{{"automountServiceAccountToken", "automountServiceAcountToken"}, {"cooldownPeriod", "coolDownPeriod"}, {"podSelector", "podselector"}} {
		if len(invalid(t, bytes.ReplaceAll(raw, []byte(typo[0]), []byte(typo[1])))) == 0 {
			t.Errorf("%s was planted and not found", typo[1])
		}
	}
}

func checkPod(t *testing.T, name string, pod object) {
	t.Helper()
	if at(pod, "securityContext", "runAsNonRoot") != true || at(pod, "securityContext", "seccompProfile", "type") == nil || pod["automountServiceAccountToken"] != false {
		t.Errorf("%s: want runAsNonRoot, a seccomp profile and no token of the API", name)
	}
	for _, k := range []string{"hostNetwork", "hostPID", "hostIPC"} {
		if pod[k] != nil {
			t.Errorf("%s has %s", name, k)
		}
	}
	for _, c := range pod["containers"].([]any) {
		if at(c, "securityContext", "readOnlyRootFilesystem") != true || at(c, "securityContext", "allowPrivilegeEscalation") != false ||
			fmt.Sprint(at(c, "securityContext", "capabilities", "drop")) != "[ALL]" || at(c, "securityContext", "privileged") != nil {
			t.Errorf("%s/%s: want a read-only root, no escalation and no capability", name, at(c, "name"))
		}
		if at(c, "resources", "requests", "memory") == nil || at(c, "resources", "limits", "memory") == nil {
			t.Errorf("%s/%s: want requests and a limit of memory", name, at(c, "name"))
		}
		if app := at(c, "name").(string); (app == "worker" || app == "review") != (localProfile(pod) || localProfile(c)) {
			t.Errorf("%s/%s: the profile of Chromium's sandbox is for those that start it", name, app)
		}
		if own, ok := rolesOf[at(c, "name").(string)]; ok {
			checkRole(t, name, pod, c, own)
		}
	}
	for _, v := range pod["volumes"].([]any) {
		if at(v, "hostPath") != nil {
			t.Errorf("%s has a folder of the node", name)
		}
	}
}

func localProfile(o any) bool {
	return at(o, "securityContext", "seccompProfile", "localhostProfile") == "profiles/pecrawler-chromium.json"
}

// checkRole: a container sees the key of one role, its own.
func checkRole(t *testing.T, name string, pod, container any, own string) {
	t.Helper()
	secrets := map[any]any{}
	for _, v := range at(pod, "volumes").([]any) {
		secrets[at(v, "name")] = at(v, "secret", "secretName")
	}
	var has []string
	for _, m := range at(container, "volumeMounts").([]any) {
		if s, _ := secrets[at(m, "name")].(string); strings.HasPrefix(s, "nats-") {
			has = append(has, s)
		}
	}
	if !slices.Equal(has, []string{"nats-" + own}) {
		t.Errorf("%s/%s has %v, want nats-%s", name, at(container, "name"), has, own)
	}
}

// checkPolicy: nothing but a worker reaches the internet, and that nothing private.
func checkPolicy(t *testing.T, name string, o object) {
	t.Helper()
	rules, _ := at(o, "spec", "egress").([]any)
	for _, r := range rules {
		to, _ := at(r, "to").([]any)
		if len(to) == 0 {
			t.Errorf("%s: leads everywhere", name)
		}
		for _, peer := range to {
			cidr, _ := at(peer, "ipBlock", "cidr").(string)
			if cidr == "" {
				continue
			}
			block, err := netip.ParsePrefix(cidr)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			app := at(o, "spec", "podSelector", "matchLabels", "app")
			if app != "worker" && block.Bits() < 24 {
				t.Errorf("%s: %v reaches %s; only workers reach the internet", name, app, cidr)
			}
			if app != "worker" {
				continue
			}
			var except []netip.Prefix
			list, _ := at(peer, "ipBlock", "except").([]any)
			for _, e := range list {
				p, err := netip.ParsePrefix(e.(string))
				if err != nil || !block.Overlaps(p) {
					t.Errorf("%s: the exception %v of %s: %v", name, e, cidr, err)
				}
				except = append(except, p)
			}
			for _, a := range []string{"10.1.2.3", "172.20.0.1", "192.168.1.1", "127.0.0.1", "169.254.169.254", "100.100.100.200", "0.0.0.0", "224.0.0.1", "::1", "fe80::1", "fd00:ec2::254", "2002:a00:1::1"} {
				ip := netip.MustParseAddr(a)
				if block.Contains(ip) && !slices.ContainsFunc(except, func(p netip.Prefix) bool { return p.Contains(ip) }) {
					t.Errorf("%s: workers reach %s", name, a)
				}
			}
		}
	}
}

// TestSeccomp: the profile is the usual one of containers and four calls more.
func TestSeccomp(t *testing.T) {
	raw, err := os.ReadFile("../seccomp/chromium.json")
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		DefaultAction string
		Syscalls      []struct {
			Names    []string
			Action   string
			Includes any
			Comment  string
		}
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	last := p.Syscalls[len(p.Syscalls)-1]
	if p.DefaultAction != "SCMP_ACT_ERRNO" || !slices.Equal(last.Names, []string{"clone", "unshare", "setns", "chroot"}) || last.Action != "SCMP_ACT_ALLOW" {
		t.Errorf("want a profile that refuses what it does not name, with the four calls at its end; have %s, %v", p.DefaultAction, last)
	}
}
