package traceql

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// keyword is a value that is neither text nor a number, such as server or
// error.
type keyword string

// holds reports whether a span meets a condition.
func (n *node) holds(s *Span) (bool, error) {
	v, err := n.value(s)
	if err != nil {
		return false, err
	}
	ok, isBool := v.(bool)
	if !isBool && v != nil {
		return false, fmt.Errorf("%s is no condition", n.Text)
	}
	return ok, nil
}

// value returns the value of an expression for a span, or nil if an attribute
// does not exist.
func (n *node) value(s *Span) (any, error) {
	switch shape := n.shape(); shape {
	case "FieldExpression":
		return n.Parts[0].value(s)
	case "AttributeField":
		a := n.Parts[0].attribute()
		if a.Scope != "span" && a.Scope != "resource" {
			return nil, fmt.Errorf("no notion of the scope of %s", n.Text)
		}
		return s.Value(a), nil
	case "IntrinsicField":
		return s.intrinsic(n.Text)
	case "Static":
		return n.Parts[0].constant()
	case "FieldExpression And FieldExpression", "FieldExpression Or FieldExpression":
		left, err := n.Parts[0].holds(s)
		if err != nil {
			return nil, err
		}
		right, err := n.Parts[2].holds(s)
		if strings.Contains(shape, "Or") {
			return left || right, err
		}
		return left && right, err
	case "FieldExpression FieldOp FieldExpression":
		return n.compare(s)
	}
	return nil, fmt.Errorf("no notion of %s", n.Text)
}

// intrinsic returns a property that every span has.
func (s *Span) intrinsic(name string) (any, error) {
	switch name {
	case "name":
		return s.Name, nil
	case "kind":
		return keyword(s.Kind), nil
	case "status":
		return keyword(s.Status), nil
	case "duration":
		return s.Duration, nil
	case "trace:id": // as Tempo shows it
		return strings.TrimLeft(s.Trace, "0"), nil
	}
	return nil, fmt.Errorf("no notion of %s", name)
}

// constant returns the value of a Static.
func (n *node) constant() (any, error) {
	if len(n.Parts) == 0 {
		if b, err := strconv.ParseBool(n.Text); err == nil {
			return b, nil
		}
		return keyword(n.Text), nil
	}
	switch n.Parts[0].Name {
	case "String":
		return strconv.Unquote(n.Text)
	case "Integer":
		return strconv.ParseInt(n.Text, 10, 64)
	case "Float":
		return strconv.ParseFloat(n.Text, 64)
	case "Duration":
		return time.ParseDuration(n.Text)
	}
	return nil, fmt.Errorf("no notion of the value %s", n.Text)
}

// compare compares two values of one type. A comparison of values of different
// types is never true, and neither is one with an attribute that does not
// exist.
func (n *node) compare(s *Span) (any, error) {
	left, err := n.Parts[0].value(s)
	if err != nil {
		return nil, err
	}
	right, err := n.Parts[2].value(s)
	if err != nil {
		return nil, err
	}
	op := n.Parts[1].Text
	if op == "=~" || op == "!~" {
		return matches(op, left, right)
	}
	order, ok := ordered(left, right)
	switch op {
	case "=":
		return ok && order == 0, nil
	case "!=":
		return ok && order != 0, nil
	case ">":
		return ok && order > 0, nil
	case ">=":
		return ok && order >= 0, nil
	case "<":
		return ok && order < 0, nil
	case "<=":
		return ok && order <= 0, nil
	}
	return nil, fmt.Errorf("no notion of the operator %s", op)
}

// matches matches a whole text against a regular expression.
func matches(op string, text, expression any) (any, error) {
	pattern, ok := expression.(string)
	if !ok {
		return nil, fmt.Errorf("%v is no regular expression", expression)
	}
	re, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return nil, err
	}
	t, ok := text.(string)
	return ok && re.MatchString(t) == (op == "=~"), nil
}

// ordered returns the order of two values, and whether they can be compared.
func ordered(a, b any) (order int, ok bool) {
	if x, isNumber := number(a); isNumber {
		y, isNumber := number(b)
		return cmp.Compare(x, y), isNumber
	}
	switch x := a.(type) {
	case string:
		y, ok := b.(string)
		return cmp.Compare(x, y), ok
	case keyword:
		y, ok := b.(keyword)
		return cmp.Compare(x, y), ok
	case time.Duration:
		y, ok := b.(time.Duration)
		return cmp.Compare(x, y), ok
	case bool:
		y, ok := b.(bool)
		return cmp.Compare(strconv.FormatBool(x), strconv.FormatBool(y)), ok
	}
	return 0, false
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}
