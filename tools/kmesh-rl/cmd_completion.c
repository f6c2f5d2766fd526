// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl completion */
#include <string.h>

#include "agent/base/nearest.h"
#include "cli.h"
#include "complete.h"

/* Words are parted by white space alone here; to bash a word ends at '=' and ':' too, so what it replaces is what is behind
 * the last of those. */
static const char bash[] =
	"# bash completion of kmesh-rl: source <(kmesh-rl completion bash)\n"
	"_kmesh_rl()\n"
	"{\n"
	"\tlocal line=${COMP_LINE:0:COMP_POINT} word prefix candidate\n"
	"\tlocal -a words found\n"
	"\n"
	"\tCOMPREPLY=()\n"
	"\tread -ra words <<<\"$line\"\n"
	"\t[[ $line != *[[:space:]] ]] || words+=(\"\")\n"
	"\tword=${words[-1]}\n"
	"\tmapfile -t found < <(\"${words[0]}\" " KRL_CLI_COMPLETE " \"${words[@]:1}\" 2>/dev/null)\n"
	"\tif [[ ${found[0]-} == " KRL_CLI_COMPLETE_FILES " ]]; then\n"
	"\t\tcompopt -o filenames 2>/dev/null\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tprefix=${word%\"${word##*[=:]}\"}\n"
	"\tfor candidate in \"${found[@]}\"; do\n"
	"\t\tcandidate=${candidate%%$'\\t'*}\n"
	"\t\tprintf -v candidate %q \"${candidate#\"$prefix\"}\"\n"
	"\t\tCOMPREPLY+=(\"$candidate\")\n"
	"\tdone\n"
	"}\n"
	"complete -F _kmesh_rl kmesh-rl\n";

static const char zsh[] =
	"#compdef kmesh-rl\n"
	"# zsh completion of kmesh-rl: source <(kmesh-rl completion zsh)\n"
	"_kmesh_rl()\n"
	"{\n"
	"\tlocal line\n"
	"\tlocal -a found candidates\n"
	"\n"
	"\tfound=(\"${(@f)$(${words[1]} " KRL_CLI_COMPLETE " \"${(@)words[2,CURRENT]}\" 2>/dev/null)}\")\n"
	"\tif [[ ${found[1]} == " KRL_CLI_COMPLETE_FILES " ]]; then\n"
	"\t\t_files\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tfor line in \"${found[@]}\"; do\n"
	"\t\t[[ -n $line ]] || continue\n"
	"\t\tif [[ $line == *$'\\t'* ]]; then\n"
	"\t\t\tcandidates+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\")\n"
	"\t\telse\n"
	"\t\t\tcandidates+=(\"${line//:/\\\\:}\")\n"
	"\t\tfi\n"
	"\tdone\n"
	"\t(( ${#candidates} )) && _describe kmesh-rl candidates\n"
	"}\n"
	"if [[ ${funcstack[1]} == _kmesh_rl ]]; then\n"
	"\t_kmesh_rl \"$@\"\n"
	"else\n"
	"\tcompdef _kmesh_rl kmesh-rl\n"
	"fi\n";

static const char fish[] =
	"# fish completion of kmesh-rl: kmesh-rl completion fish | source\n"
	"function __kmesh_rl_complete\n"
	"\tset -l words (commandline -opc) (commandline -ct)\n"
	"\tset -l found ($words[1] " KRL_CLI_COMPLETE " $words[2..-1] 2>/dev/null)\n"
	"\tif test \"$found[1]\" = " KRL_CLI_COMPLETE_FILES "\n"
	"\t\t__fish_complete_path (commandline -ct)\n"
	"\t\treturn\n"
	"\tend\n"
	"\tprintf '%s\\n' $found\n"
	"end\n"
	"complete -c kmesh-rl -f -a '(__kmesh_rl_complete)'\n";

static const struct {
	const char *name, *script;
} shells[] = {
	{ "bash", bash },
	{ "zsh", zsh },
	{ "fish", fish },
};

enum krl_cli_exit krl_cli_completion(const struct krl_cli *cli)
{
	const char *shell = cli->words.count ? cli->words.words[0] : NULL, *nearest = NULL;
	size_t i;

	if (!shell)
		return krl_cli_misuse("completion needs the name of a shell: bash, zsh or fish");
	if (cli->words.count > 1)
		return krl_cli_misuse("completion takes one shell, not \"%s\" too", cli->words.words[1]);
	for (i = 0; i < sizeof(shells) / sizeof(*shells); i++) {
		nearest = krl_nearer(shell, nearest, shells[i].name);
		if (strcmp(shell, shells[i].name))
			continue;
		fputs(shells[i].script, stdout);
		return KRL_CLI_GOOD;
	}
	return krl_cli_misuse(nearest ? "completion \"%s\": did you mean \"%s\"?" : "completion \"%s\": expected bash, zsh or fish",
			      shell, nearest);
}
