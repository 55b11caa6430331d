/** `features:` of agent.yaml as it was at start; only booleans count. */
import { isMapping, readAgentYaml } from "./agent_yaml.ts";

export function readFeatureFlags(home: string): Record<string, boolean> {
  for (const name of ["agent.yaml", "AGENT.yaml"]) {
    const features = readAgentYaml(home, [name])?.features;
    if (!isMapping(features)) continue;
    return Object.fromEntries(
      Object.entries(features).filter((entry): entry is [string, boolean] => typeof entry[1] === "boolean"),
    );
  }
  return {};
}
