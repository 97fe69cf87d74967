package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lapwing/agent/config"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Check a configuration file, or print an example",
		Example: "  lapwing config example > lapwing.yaml\n  lapwing config check lapwing.yaml",
		Args:    cobra.ArbitraryArgs, // RunE reports the error
		RunE:    chooses,
	}
	cmd.AddCommand(a.configCheckCommand(), a.configExampleCommand())
	return cmd
}

func (a *app) configCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a configuration file without starting the agent",
		Long: "Check a configuration file, together with the LAPWING_* variables of the environment, and\n" +
			"print each problem on a line of its own. Warnings do not change the exit status. FILE defaults\n" + "to " + defaultConfigFile + ".",
		Example: "  lapwing config check\n  lapwing config check lapwing.yaml",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("unexpected argument %q", args[1]), cmd.CommandPath()}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			file := defaultConfigFile
			if len(args) > 0 {
				file = args[0]
			}
			return a.configCheck(file)
		},
	}
}

func (a *app) configCheck(file string) error {
	cfg, err := config.Load(config.Source{File: file, Environ: a.environ})
	var problems config.Problems
	if errors.As(err, &problems) {
		for _, p := range problems[:len(problems)-1] {
			a.complain(p)
		}
		return problems[len(problems)-1]
	}
	if err != nil {
		return err
	}
	a.warnOfVariables()
	for _, warning := range cfg.Warnings(file) {
		a.warn(warning)
	}
	if text := nowhere(cfg, file); text != "" {
		a.warn(text)
	}
	_, err = fmt.Fprintf(a.out, "%s is valid\n", file)
	return err
}

func (a *app) configExampleCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "example",
		Short:   "Print a configuration file with every key, its default and its meaning",
		Example: "  lapwing config example > lapwing.yaml",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(a.out, config.Example())
			return err
		},
	}
}
