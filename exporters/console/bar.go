package console

import (
	"strconv"

	"lapwing/collectors/request"
)

// glyphs are the letters of the phases in a bar. They carry the meaning and the
// colours only help, so a bar reads the same in a log file.
const glyphs = "qpaw"

// legend explains the glyphs.
const legend = "q queue  p parse  a app  w write-back  - not seen"

// phaseColors are the background colours of the phases, from the 16 colours
// that every colour terminal has.
var phaseColors = [request.NumPhases]int{request.Queue: 3, request.Parse: 6, request.App: 2, request.WriteBack: 5}

// shares are the numbers of cells that the phases get in a bar.
type shares [request.NumPhases]int

// divide gives each phase its share of the cells. The shares add up to exactly
// cells, or to zero if no time was spent. The cells that rounding leaves over
// go to the largest remainders, the earlier phase first.
func divide(spent [request.NumPhases]uint64, cells int) shares {
	var out shares
	total := 0.0
	for _, t := range spent {
		total += float64(t)
	}
	if total == 0 || cells <= 0 {
		return out
	}
	var rest [request.NumPhases]float64
	left := cells
	for p, t := range spent {
		exact := float64(t) / total * float64(cells)
		out[p] = min(int(exact), left)
		rest[p] = exact - float64(out[p])
		left -= out[p]
	}
	for ; left > 0; left-- {
		p := largest(rest)
		out[p]++
		rest[p]--
	}
	return out
}

func largest(rest [request.NumPhases]float64) int {
	best := 0
	for p, r := range rest {
		if r > rest[best] {
			best = p
		}
	}
	return best
}

// appendBar writes a bar of width cells. It is blank if no time was spent.
func appendBar(b []byte, spent [request.NumPhases]uint64, width int, color bool) []byte {
	used := 0
	for p, n := range divide(spent, width) {
		if n == 0 {
			continue
		}
		used += n
		if color {
			b = append(b, "\x1b[30;4"...)
			b = append(strconv.AppendInt(b, int64(phaseColors[p]), 10), 'm')
		}
		for range n {
			b = append(b, glyphs[p])
		}
		if color {
			b = append(b, styleEnd...)
		}
	}
	return appendSpaces(b, width-used)
}

// The text styles, as SGR sequences of the terminal.
const (
	styleDim   = "\x1b[2m"
	styleRed   = "\x1b[31m"
	styleBold  = "\x1b[1m"
	styleEnd   = "\x1b[0m"
	styleNoted = "\x1b[33m"
)
