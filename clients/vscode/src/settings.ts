/** The section `starfill` without what is the extension's own: the server names every setting that it doesn't know. */
export function forServer(section: Record<string, unknown> | null | undefined): Record<string, unknown> {
  const { server: _server, trace: _trace, ...settings } = section ?? {};
  return settings;
}

/** A path from the settings with `~` and `${…}` filled in. folder: of a workspace that is trusted. */
export function filledIn(
  path: string,
  { home, folder, env }: { home: string; folder: string | undefined; env: Record<string, string | undefined> },
): string {
  return path
    .trim()
    .replace(/^~(?=[/\\]|$)/, home)
    .replace(/\$\{(?:(workspaceFolder)|(userHome)|env:(\w+))\}/g, (whole, isFolder, isHome, name) =>
      isFolder ? (folder ?? whole) : isHome ? home : (env[name] ?? ''),
    );
}
