import { afterEach, expect, test } from "bun:test";
import { parseAgentYaml } from "../src/agent_yaml.ts";
import { readFeatureFlags } from "../src/feature_flags.ts";
import { readMemoryConfig } from "../src/memory_config.ts";
import { readPipelineConfig } from "../src/pipeline_config.ts";
import { readSettings } from "../src/settings.ts";
import { makeHome, removeHome } from "./support.ts";

const homes: string[] = [];
const homeWith = (yaml: string): string => {
  const home = makeHome(yaml);
  homes.push(home);
  return home;
};
afterEach(() => homes.splice(0).forEach(removeHome));

test("an inline comment becomes part of the value", () => {
  expect(parseAgentYaml("max: 5 # five\nplain: 5")).toEqual({ max: "5 # five", plain: 5 });
});

test("quotes do not protect a value from its type", () => {
  const yaml = `a: "007"\nb: 'false'\nc: "~"\nd: '1.5'\ne: 1e3\nf: .5`;
  expect(parseAgentYaml(yaml)).toEqual({ a: 7, b: false, c: null, d: 1.5, e: "1e3", f: ".5" });
});

test("an empty value opens a mapping, a list item without colon vanishes", () => {
  expect(parseAgentYaml("---\na:\n  b: 1\n  - x\n- k: v\n# c\nno colon\n")).toEqual({ a: { b: 1 }, "- k": "v" });
});

test("an indented key after a scalar becomes a sibling", () => {
  expect(parseAgentYaml("s: 1\n  t: 2\nu: |-\n  v: 3")).toEqual({ s: 1, t: 2, u: "", v: 3 });
});

test("setting alpha changes the default of min_score and makes top_k count", () => {
  expect(readMemoryConfig(homeWith("search:\n  top_k: 3\n")).search).toMatchObject({ topK: 20, minScore: 0.1 });
  expect(readMemoryConfig(homeWith("search:\n  alpha: 0.5\n  top_k: 3\n")).search).toMatchObject({
    alpha: 0.5,
    topK: 3,
    minScore: 0.3,
  });
});

test("embedding settings count only with a provider, and none leaves the defaults", () => {
  const none = readMemoryConfig(homeWith("embedding:\n  provider: none\n  model: m\n  dimensions: 5\n")).embedding;
  expect(none).toMatchObject({ provider: "none", model: "nomic-embed-text-v1.5", dimensions: 768 });
  const ollama = readMemoryConfig(homeWith("memory:\n  embeddings:\n    provider: ollama\n    dimensions: 8\n")).embedding;
  expect(ollama).toMatchObject({ provider: "ollama", dimensions: 8, baseUrl: "http://localhost:11434" });
  expect(readMemoryConfig(homeWith("")).embedding.provider).toBe("native");
});

test("pipeline numbers are clamped but not rounded, and wrong types fall back", () => {
  const config = readPipelineConfig(parseAgentYaml("worker:\n  pollMs: 1\n  maxRetries: 2.7\nrerankerTopN: text"));
  expect(config.worker).toMatchObject({ pollMs: 100, maxRetries: 2.7 });
  expect(config.reranker.topN).toBe(20);
});

test("a pipeline section that is not a mapping means all defaults, which is enabled", () => {
  expect(readPipelineConfig(false)).toEqual(readPipelineConfig(undefined));
  expect(readPipelineConfig(false).enabled).toBe(true);
});

test("a flat extraction provider takes the flat model, and a lone flat model means Ollama", () => {
  const extraction = (yaml: string) => readPipelineConfig(parseAgentYaml(yaml)).extraction;
  const nested = "extraction:\n  provider: codex\n  model: nested";
  expect(extraction(`extractionProvider: opencode\n${nested}`)).toMatchObject({ provider: "opencode", model: "haiku" });
  expect(extraction(`extractionModel: flat\n${nested}`)).toMatchObject({ provider: "codex", model: "nested" });
  expect(extraction("extractionModel: flat")).toMatchObject({ provider: "ollama", model: "flat" });
});

test("only booleans are feature flags, integer-like names first", () => {
  expect(JSON.stringify(readFeatureFlags(homeWith('features:\n  b: true\n  c: yes\n  10: false\n  2: "true"\n')))).toBe(
    '{"2":true,"10":false,"b":true}',
  );
});

test("the environment is trimmed, ports are read as a prefix, and loopback names become 127.0.0.1", () => {
  const env = { SIGNET_PATH: "/h", SIGNET_PORT: " 4000abc ", SIGNET_HOST: "localhost", SIGNET_BIND: "::" };
  expect(readSettings(env)).toMatchObject({ port: 4000, host: "127.0.0.1", bindHost: "::", selfHost: "127.0.0.1" });
  expect(readSettings({ SIGNET_PATH: "/h", SIGNET_PORT: "70000" }).port).toBe(3850);
});
