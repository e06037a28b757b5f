package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

const (
	// mostMade are the values that the templates of a chart may make up; a certificate and its key count as two.
	mostMade = 256
	// longestMade is how many characters or bytes one may have, and mostNames how many names a certificate.
	longestMade = 4096
	mostNames   = 100
)

// made is a value that templates make up. The agent makes it once and keeps it; here its placeholder stands for it.
type made struct {
	Function string `json:"function"`
	// Part is cert or key where the function gives both.
	Part string   `json:"part,omitempty"`
	Args []string `json:"args"`
	// Call is the same for the parts that one call gives.
	Call string `json:"call"`
	File string `json:"file"`
	Line int    `json:"line"`
}

// certificate is what functions of certificates give and take.
type certificate struct{ Cert, Key string }

// errMade ends what is only called without a guard.
var errMade = errors.New("values are made up by the agent alone")

func certificateFunctions() map[string]any {
	return map[string]any{
		"genCA":                    func(string, int) (certificate, error) { return certificate{}, errMade },
		"genCAWithKey":             func(string, int, string) (certificate, error) { return certificate{}, errMade },
		"genSelfSignedCert":        func(string, []any, []any, int) (certificate, error) { return certificate{}, errMade },
		"genSelfSignedCertWithKey": func(string, []any, []any, int, string) (certificate, error) { return certificate{}, errMade },
		"genSignedCert":            func(string, []any, []any, int, certificate) (certificate, error) { return certificate{}, errMade },
		"genSignedCertWithKey": func(string, []any, []any, int, certificate, string) (certificate, error) {
			return certificate{}, errMade
		},
		"buildCustomCert": func(string, string) (certificate, error) { return certificate{}, errMade },
	}
}

// scope is the execution of one template. What templates make up is known by where that is, from the file down: a file that is included
// again for its checksum makes up what it did, and a helper something else for each place that includes it.
type scope struct {
	// isFile says whether it is a whole file of the chart, at begins what is in it.
	isFile bool
	at     string
	counts map[string]int
}

// isWhole says whether a template is a file of the chart that is given what it sees by itself, as for a checksum of it.
func (r *rendering) isWhole(name string, data any) bool {
	given, isMap := data.(map[string]any)
	seen, isFile := r.files[name]
	return isMap && isFile && len(given) == len(seen) &&
		reflect.ValueOf(given["Values"]).Kind() == reflect.Map &&
		reflect.ValueOf(given["Values"]).Pointer() == reflect.ValueOf(seen["Values"]).Pointer()
}

// enter begins a template, from a place in the one before. The function that it gives ends it.
func (r *rendering) enter(at int, name string, data any) func() {
	next := scope{isFile: r.isWhole(name, data), at: name}
	if !next.isFile {
		next.at = r.turn(at) + " " + name
	}
	r.scopes = append(r.scopes, next)
	return func() { r.scopes = r.scopes[:len(r.scopes)-1] }
}

// turn is a place in the template that is executed, and how often it was there.
func (r *rendering) turn(at int) string {
	site := r.sites[at]
	key := site.tree.ParseName + ":" + strconv.Itoa(int(site.node.Position()))
	if len(r.scopes) == 0 {
		return key
	}
	within := &r.scopes[len(r.scopes)-1]
	if within.counts == nil {
		within.counts = map[string]int{}
	}
	within.counts[key]++
	return key + "#" + strconv.Itoa(within.counts[key])
}

// call names what is made up at a place, among all that this render makes up.
func (r *rendering) call(at int) string {
	hash := sha256.New()
	turn := r.turn(at)
	first := len(r.scopes) - 1
	for first > 0 && !r.scopes[first].isFile {
		first--
	}
	for _, each := range r.scopes[max(first, 0):] {
		fmt.Fprintf(hash, "%d %s", len(each.at), each.at)
	}
	fmt.Fprintf(hash, "%d %s", len(turn), turn)
	return base64.RawURLEncoding.EncodeToString(hash.Sum(nil))
}

// makeUp is the text that stands for a value that is made up.
func (c *call) makeUp(call, part string, args []string) (string, error) {
	placeholder := expression{"generated", append([]string{c.name, part, call}, args...)}.placeholder()
	if _, ok := c.r.made[placeholder]; !ok {
		if len(c.r.made) == mostMade {
			return "", c.r.refuse(c.at, "limit", "values", "")
		}
		file, line := c.r.place(c.at)
		c.r.made[placeholder] = made{c.name, part, args, call, file, line}
		c.r.known[placeholder] = true
	}
	return placeholder, nil
}

// madeText is for functions that make up a text of a length.
func madeText(c *call) (any, bool, error) {
	args := []string{}
	if len(c.args) == 1 {
		count, _ := c.args[0].(int)
		if count > longestMade || count < 0 {
			return nil, false, c.r.refuse(c.at, "limit", "result", "")
		}
		if count == 0 {
			return "", true, nil
		}
		args = append(args, strconv.Itoa(count))
	}
	text, err := c.makeUp(c.r.call(c.at), "", args)
	return text, true, err
}

func madeKey(c *call) (any, bool, error) {
	if isMarked(c.text(0)) {
		return nil, false, c.refuse()
	}
	switch c.text(0) {
	case "", "rsa", "ecdsa", "ed25519":
		text, err := c.makeUp(c.r.call(c.at), "", []string{c.text(0)})
		return text, true, err
	}
	return random(c)
}

// madeCertificate is for functions that give a certificate and its key. What it is of is clear text; a key or a CA that it is given is not.
func madeCertificate(c *call) (any, bool, error) {
	var args []string
	for _, each := range c.args {
		switch value := each.(type) {
		case string:
			args = append(args, value)
		case int:
			args = append(args, strconv.Itoa(value))
		case certificate:
			args = append(args, value.Cert, value.Key)
		default:
			names, ok := each.([]any)
			if !ok || len(names) > mostNames || isMarkedBelow(names) {
				return nil, false, c.refuse()
			}
			text, err := json.Marshal(append([]any{}, names...))
			if err != nil || len(text) > longestMade {
				return nil, false, c.refuse()
			}
			args = append(args, string(text))
		}
	}
	if isMarked(c.text(0)) || len(c.text(0)) > longestMade {
		return nil, false, c.refuse()
	}
	call := c.r.call(c.at)
	cert, err := c.makeUp(call, "cert", args)
	if err != nil {
		return nil, false, err
	}
	key := ""
	if strings.HasSuffix(c.name, "WithKey") {
		key = args[len(args)-1]
	} else if key, err = c.makeUp(call, "key", args); err != nil {
		return nil, false, err
	}
	return certificate{cert, key}, true, nil
}

// givenCertificate is buildCustomCert: two texts of base64. What is sealed of them is decoded when it is opened.
func givenCertificate(c *call) (any, bool, error) {
	var parts [2]string
	for at := range parts {
		text := c.text(at)
		if isMarked(text) {
			decoded, _, err := decodedText(&call{c.r, c.at, "b64dec", []any{text}, c.result})
			if err != nil {
				return nil, false, err
			}
			parts[at] = decoded.(string)
			continue
		}
		decoded, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, false, errors.New("unable to decode base64 certificate or key")
		}
		parts[at] = string(decoded)
	}
	return certificate{parts[0], parts[1]}, true, nil
}
