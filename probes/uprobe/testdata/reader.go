// Command reader is only the reader of package foreign.
package main

import _ "lapwing/probes/foreign"

func main() {}
