package dashboards

// gridWidth is the width of a dashboard, in columns.
const gridWidth = 24

// block is a group of panels side by side under a heading. All have the same
// width and height. They wrap at the width of the dashboard.
type block struct {
	heading string // if empty, the panels continue those above
	across  int    // number of panels side by side
	height  int
	panels  []*Panel
}

// place numbers the panels and sets their positions.
func place(blocks []block) []*Panel {
	var out []*Panel
	y := 0
	for _, b := range blocks {
		if b.heading != "" {
			out = append(out, heading(b.heading, y))
			y++
		}
		width := gridWidth / b.across
		for i, p := range b.panels {
			p.Grid = Grid{H: b.height, W: width, X: i % b.across * width, Y: y + i/b.across*b.height}
			out = append(out, p)
		}
		y += (len(b.panels) + b.across - 1) / b.across * b.height
	}
	for i, p := range out {
		p.ID = i + 1
	}
	return out
}

func heading(title string, y int) *Panel {
	open := false
	return &Panel{Type: "row", Title: title, Grid: Grid{H: 1, W: gridWidth, Y: y}, Collapsed: &open, Panels: []*Panel{}}
}
