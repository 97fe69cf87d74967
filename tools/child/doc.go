// Package child runs the programs that the tools put beside each other, waits
// until they are ready and leaves none of them behind.
package child
