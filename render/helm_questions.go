package main

import (
	"reflect"
	"strings"
)

// Guards of functions that ask something of a value. The answer is that for the placeholder, and it is checked when the value is opened.

func eachTrue(c *call) (any, bool, error) {
	for _, each := range c.args {
		if isTrue, err := c.r.isTrue(c.at, each); err != nil || isTrue && c.name != "all" {
			return nil, false, err
		}
	}
	return nil, false, nil
}

// defaulted is `default x given`: given is asked.
func defaulted(c *call) (any, bool, error) {
	if len(c.args) < 2 {
		return nil, false, nil
	}
	_, err := c.r.isTrue(c.at, c.args[1])
	return nil, false, err
}

func lastTrue(c *call) (any, bool, error) {
	_, err := c.r.isTrue(c.at, c.last())
	return nil, false, err
}

func elementsTrue(c *call) (any, bool, error) {
	return nil, false, c.leavesTrue(c.last(), 2)
}

// merged asks all leaves: what is empty counts as not set.
func merged(c *call) (any, bool, error) {
	return nil, false, c.leavesTrue(c.args, deepestValue)
}

func (c *call) leavesTrue(value any, depth int) error {
	if text, ok := value.(string); ok {
		_, err := c.r.isTrue(c.at, text)
		return err
	}
	reflected := reflect.ValueOf(value)
	if depth == 0 {
		return c.refuse()
	}
	switch reflected.Kind() {
	case reflect.Map:
		for _, key := range sortedKeys(reflected) {
			if err := c.leavesTrue(reflected.MapIndex(key).Interface(), depth-1); err != nil {
				return err
			}
		}
	case reflect.Slice:
		for at := range reflected.Len() {
			if err := c.leavesTrue(reflected.Index(at).Interface(), depth-1); err != nil {
				return err
			}
		}
	}
	return nil
}

func requiredText(c *call) (any, bool, error) {
	if text, ok := c.last().(string); ok && isMarked(text) {
		return nil, false, c.r.askText(c.at, "filled", text)
	}
	return nil, false, nil
}

func isText(c *call) (any, bool, error) {
	if text, ok := c.last().(string); ok && isMarked(text) {
		return nil, false, c.r.askText(c.at, "text", text)
	}
	return nil, false, nil
}

// equal is `eq a b…`, which is true where a is any of them, and `ne a b`.
func equal(c *call) (any, bool, error) {
	if !isMarkedBelow(c.args) {
		return nil, false, nil
	}
	left, isText := c.args[0].(string)
	if !isText {
		return nil, false, c.refuse()
	}
	for _, each := range c.args[1:] {
		right, isText := each.(string)
		switch {
		case each == nil:
			continue
		case !isText:
			return nil, false, c.refuse()
		case left == right:
			return c.name == "eq", true, nil
		case isMarked(left) || isMarked(right):
			if err := c.asked("eq", left, right); err != nil {
				return nil, false, err
			}
		}
	}
	return c.name == "ne", true, nil
}

// asked is a question that is answered in the negative. Operands that hold what was escaped for quotes are refused: it is not the value.
func (c *call) asked(op, left, right string) error {
	if !isMarked(left) {
		if op != "eq" {
			// the first operand is the one with a value
			return c.refuse()
		}
		left, right = right, left
	}
	if c.r.isWithout(left, right) {
		return nil
	}
	if c.r.isEscaped(left) || c.r.isEscaped(right) || c.r.isHash(left) || c.r.isHash(right) {
		return c.refuse()
	}
	return c.r.ask(c.at, false, op, left, right)
}

// containing is `contains part text`.
func containing(c *call) (any, bool, error) {
	part, text := c.text(0), c.text(1)
	if !isMarked(part) && !isMarked(text) {
		return nil, false, nil
	}
	if !isMarked(part) {
		if clear, _ := pieces(text); holdsAny(clear, part) {
			return true, true, nil
		}
	}
	if !isMarked(part) && strings.Trim(part, unescapable) == "" && c.r.isEscaped(text) {
		holds, err := c.escapedContains(text, part, deepestValue)
		return holds, true, err
	}
	return false, true, c.asked("contains", text, part)
}

// What no escape for quotes changes or makes, and no style of YAML adds: it stands in a value as often as where that is written in quotes.
const unescapable = "{}()[]$@%^=,;./~"

// escapedContains asks each value that stands in quotes. Quotes are not among what is looked for, so it cannot begin outside of them.
func (c *call) escapedContains(text, part string, depth int) (bool, error) {
	clear, found := pieces(text)
	if holdsAny(clear, part) {
		return true, nil
	}
	for at, each := range found {
		made := c.r.expressions[each]
		if depth == 0 || !isEscape(made.op) || !strings.HasSuffix(clear[at], `"`) || !strings.HasPrefix(clear[at+1], `"`) {
			return false, c.refuse()
		}
		inner := made.args[0]
		if c.r.isEscaped(inner) {
			if holds, err := c.escapedContains(inner, part, depth-1); holds || err != nil {
				return holds, err
			}
			continue
		}
		if clear, _ := pieces(inner); holdsAny(clear, part) {
			return true, nil
		}
		if err := c.r.ask(c.at, false, "contains", inner, part); err != nil {
			return false, err
		}
	}
	return false, nil
}

func holdsAny(texts []string, part string) bool {
	for _, each := range texts {
		if strings.Contains(each, part) {
			return true
		}
	}
	return false
}

// affixed is `hasPrefix affix text` and `hasSuffix affix text`.
func affixed(c *call) (any, bool, error) {
	affix, text := c.text(0), c.text(1)
	if !isMarked(affix) && !isMarked(text) {
		return nil, false, nil
	}
	if isMarked(affix) {
		return nil, false, c.refuse()
	}
	clear, _ := pieces(text)
	head, tail := clear[0], clear[len(clear)-1]
	switch {
	case c.name == "hasPrefix" && (len(head) >= len(affix) || !strings.HasPrefix(affix, head)):
		return strings.HasPrefix(head, affix), true, nil
	case c.name == "hasSuffix" && (len(tail) >= len(affix) || !strings.HasSuffix(affix, tail)):
		return strings.HasSuffix(tail, affix), true, nil
	case c.name == "hasPrefix":
		return false, true, c.asked("prefix", text, affix)
	}
	return false, true, c.asked("suffix", text, affix)
}

// separated is `splitList separator text`: the values are asked for the separator.
func separated(c *call) (any, bool, error) {
	separator, text := c.text(0), c.text(1)
	if !isMarked(text) && !isMarked(separator) {
		return nil, false, nil
	}
	if separator == "" || isMarked(separator) {
		return nil, false, c.refuse()
	}
	parts := strings.Split(text, separator)
	for at, part := range parts {
		if isMarked(part) {
			if at < len(parts)-1 { // a separator may begin in the value and end in the one that stands behind it
				part += separator[:len(separator)-1]
			}
			if err := c.asked("contains", part, separator); err != nil {
				return nil, false, err
			}
		}
	}
	return nil, false, nil
}
