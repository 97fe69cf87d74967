// Package privilege knows what the agent must be allowed to do: what it checks
// before it loads probes, so that a refusal is one clear line and not an
// EPERM, and what it gives up once they are attached.
package privilege
