import { expect, test } from "bun:test";
import { chunkBySentence, inferType, normalizeContent, parsePrefixes, parseTagsColumn } from "../src/content.ts";

// content, what is stored, its normal form, its hash
const NORMAL_FORMS: readonly (readonly [string, string, string, string])[] = [
  ["Hello  World.", "Hello World.", "hello world", "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"],
  ["hello world", "hello world", "hello world", "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"],
  ["Hello World ?!", "Hello World ?!", "hello world", "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"],
  ["!!!", "!!!", "!!!", "e84c538e7fe250730ef62de220c40dfa808d3008c0cdb437181564b88b8714b8"],
  ["İstanbul ΟΔΟΣ.", "İstanbul ΟΔΟΣ.", "i̇stanbul οδος", "c291de8bd6f0cc8a649e9f6442dfd91de197c6db14b733cb5ec535091e0b1a70"],
  ["a\u0085b \u001cc", "a\u0085b \u001cc", "a\u0085b \u001cc", "0384d3f1a846249ab7ce9e3ed1d5bcc817e42a8f0082bc0a4df4ded6e3c5821a"],
  ["\ufeff x \u00a0 y\u2028z ", "x y z", "x y z", "00d9bf1235b65cc60a23478250f3f8e37b23ca973e7442a4415a28f489b1a0d7"],
  ["straße ẞ", "straße ẞ", "straße ß", "53110024bc5c103fc2fbfc9a636f210b1896b132b5f9882ae85479c76ba45d75"],
  ["x .", "x .", "x", "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"],
  ["x. ;", "x. ;", "x.", "c92f00b196e2fb020317afd79909f3894536d631a3366d77c9653176e12a5c4f"],
  ["trail…", "trail…", "trail…", "e41a153734fb37e8b96b31262b9dea285c419a8d7d2ed1be46a13464d40822a0"],
  ["lone \ud83d end", "lone \ud83d end", "lone \ud83d end", "5abfaa5986dbac495ab2057449ec0b2d10818eee71c388d0f64e73033eaab405"],
];

test.each(NORMAL_FORMS)("%p has its known normal form and hash", (content, storage, normalized, hash) => {
  expect(normalizeContent(content)).toEqual({ storage, normalized, hash });
});

test("the first hint in the list decides the type, not the first in the text", () => {
  expect(inferType("We decided that I prefer tea")).toBe("preference");
  expect(inferType("an unwanted guest")).toBe("preference");
  expect(inferType("debugging")).toBe("issue");
  expect(inferType("ALWAYS")).toBe("rule");
  expect(inferType("plain")).toBe("fact");
});

test("critical: pins once, then tags are taken off", () => {
  const parsed = parsePrefixes("critical: [Foo, BAR ,]: always use bun");
  expect(parsed).toEqual({ content: "always use bun", tags: "foo,bar", pinned: true, importance: 1 });
  expect(parsePrefixes("[x]: critical: y")).toMatchObject({ content: "critical: y", tags: "x", pinned: false });
  expect(parsePrefixes("CRITICAL:no space")).toMatchObject({ content: "no space", pinned: true });
});

test("what only looks like tags stays text", () => {
  expect(parsePrefixes("[a,b]:")).toMatchObject({ content: "[a,b]:", tags: null });
  expect(parsePrefixes("[]: x")).toMatchObject({ content: "[]: x", tags: null });
  expect(parsePrefixes("[ , ]: x")).toMatchObject({ content: "x", tags: "" });
});

test("sentences are packed up to the target, and longer ones are kept whole up to twice of it", () => {
  expect(chunkBySentence("One two. Three four. Five six.", 20)).toEqual(["One two. Three four.", "Five six."]);
  expect(chunkBySentence("b".repeat(501), 300)).toEqual(["b".repeat(501)]);
  expect(chunkBySentence(`Hi. ${"y".repeat(25)}`, 10)).toEqual(["Hi.", "y".repeat(10), "y".repeat(10), "y".repeat(5)]);
});

test("tags in a column are JSON or comma-separated", () => {
  expect(parseTagsColumn('["a", 5, "b"]')).toEqual(["a", "b"]);
  expect(parseTagsColumn(" a, b ,,")).toEqual(["a", "b"]);
  expect(parseTagsColumn(null)).toEqual([]);
});
