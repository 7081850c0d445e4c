/**
 * Replaces `$(NAME)` by the value of NAME, as Kubernetes does in `command`, `args` and `env[].value`: `$$` stands for one `$`
 * (so `$$(NAME)` is the text `$(NAME)`), and a reference to a name that is not known stays as it is.
 */
export function expand(text: string, lookup: (name: string) => string | undefined): string {
  return text.replaceAll(/\$\$|\$\(([^)]*)\)/g, (match, name: string | undefined) => {
    if (name === undefined) return '$'
    return lookup(name) ?? match
  })
}
