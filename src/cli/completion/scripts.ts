/*
 * What the shells run. They know nothing of commands: each asks `tiffin __complete -- WORD...`, which answers a candidate a
 * line (a tab, then its description) and, last, `:files` or `:none`.
 */

/** Words are taken from the line itself: bash would part them at colons, which images have. */
const BASH = `# bash completion for tiffin: eval "$(tiffin completion bash)", or as a file in /etc/bash_completion.d
_tiffin() {
  local line="\${COMP_LINE:0:COMP_POINT}" words=() current="" answer="" prefix=""
  read -ra words <<<"$line"
  [[ "$line" == *[[:space:]] ]] || current="\${words[-1]}"
  [[ -n "$current" ]] || words+=("")
  COMPREPLY=()
  while IFS= read -r answer; do
    case "$answer" in
      :files) compopt -o default 2>/dev/null ;;
      :none) ;;
      *) COMPREPLY+=("\${answer%%$'\\t'*}") ;;
    esac
  done < <("\${words[0]}" __complete -- "\${words[@]:1}" 2>/dev/null)
  [[ "$current" == *[:=]* ]] && prefix="\${current%"\${current##*[:=]}"}"
  COMPREPLY=("\${COMPREPLY[@]#"$prefix"}")
  if [[ \${#COMPREPLY[@]} -eq 1 && "\${COMPREPLY[0]}" == *[:=] ]]; then
    compopt -o nospace 2>/dev/null
  fi
}
complete -F _tiffin tiffin
`;

const ZSH = `#compdef tiffin
# zsh completion for tiffin: eval "$(tiffin completion zsh)", or as a file _tiffin in a directory of $fpath
_tiffin() {
  local answer value description files=0
  local -a candidates
  for answer in "\${(@f)$("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    case "$answer" in
      :files) files=1 ;;
      :none|"") ;;
      *)
        value="\${answer%%$'\\t'*}"
        description="\${answer#*$'\\t'}"
        candidates+=("\${value//:/\\\\:}:$description")
        ;;
    esac
  done
  (( \${#candidates} )) && _describe -V tiffin candidates
  (( files )) && _files
}
if [ "$funcstack[1]" = "_tiffin" ]; then
  _tiffin "$@"
else
  compdef _tiffin tiffin
fi
`;

const FISH = `# fish completion for tiffin: tiffin completion fish | source, or as ~/.config/fish/completions/tiffin.fish
function __tiffin_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l answers ($words[1] __complete -- $words[2..] 2>/dev/null)
    set -l current (commandline -ct)
    for answer in $answers
        switch $answer
            case :files
                __fish_complete_path $current
            case :none
            case '*'
                echo $answer
        end
    end
end
complete -c tiffin -f -a '(__tiffin_complete)'
`;

export const SHELLS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
