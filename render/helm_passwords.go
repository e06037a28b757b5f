package main

import (
	"fmt"
	"slices"
	"strings"
)

// Guards of functions that make hashes and passwords of a password: slow by design, and done where the values are opened.

// mostHashed are hashes and passwords that the templates of a chart may make of others.
const mostHashed = 64

// hashed is bcrypt. Its salt is random in Helm, so that clear text too has another hash in each render: here it is written down for any text.
func hashed(c *call) (any, bool, error) {
	text, err := c.hash(c.text(0))
	return text, true, err
}

// passwordEntry is `htpasswd user password`: a line of a file of passwords.
func passwordEntry(c *call) (any, bool, error) {
	user := c.text(0)
	clear, _ := pieces(user)
	switch {
	case holdsAny(clear, ":"):
		if isMarked(user) {
			return nil, false, c.refuse()
		}
		return "invalid username: " + user, true, nil
	case isMarked(user):
		if err := c.asked("contains", user, ":"); err != nil {
			return nil, false, err
		}
	}
	text, err := c.hash(c.text(1))
	return user + ":" + text, true, err
}

func (c *call) hash(text string) (string, error) {
	if c.r.isEscaped(text) {
		return "", c.refuse()
	}
	return c.slow("bcrypt", text)
}

// slow writes down an operation whose result is never empty.
func (c *call) slow(op string, args ...string) (string, error) {
	placeholder := expression{op, args}.placeholder()
	if c.r.expressions[placeholder].op == "" {
		if c.r.hashed++; c.r.hashed > mostHashed {
			return "", c.r.refuse(c.at, "limit", "hashes", "")
		}
	}
	c.r.known[placeholder] = true
	return c.r.written(op, args...), nil
}

// derived is `derivePassword counter type password user site`. One of clear text is Helm's own: it is the same each time.
func derived(c *call) (any, bool, error) {
	if !isMarkedBelow(c.args) {
		return nil, false, nil
	}
	kind, password := c.text(1), c.text(2)
	if isMarked(kind) || slices.ContainsFunc([]string{password, c.text(3), c.text(4)}, c.r.isEscaped) {
		return nil, false, c.refuse()
	}
	if !passwordTypes[kind] {
		return "cannot find password template " + kind, true, nil
	}
	text, err := c.slow("derivePassword", password, fmt.Sprint(c.args[0]), kind, c.text(3), c.text(4))
	return text, true, err
}

var passwordTypes = map[string]bool{"maximum": true, "long": true, "medium": true, "short": true, "basic": true, "pin": true}

// isHash says whether a text holds a hash. What its value is depends on where it stands, so it answers no question.
func (r *rendering) isHash(text string) bool {
	_, found := pieces(text)
	for _, each := range found {
		made := r.expressions[each]
		for _, arg := range made.args {
			if made.op == "bcrypt" || r.isHash(arg) {
				return true
			}
		}
	}
	return false
}

// isWithout says whether a value cannot hold a text, whatever it is.
func (r *rendering) isWithout(value, text string) bool {
	alphabet := alphabets[r.expressions[value].op]
	return alphabet != "" && !isMarked(text) && strings.Trim(text, alphabet) != ""
}
