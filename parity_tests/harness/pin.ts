// Preloaded into a recorded daemon: ids and other randomness follow from PARITY_SEED, so that a recording can be made
// again, and a second one with another seed shows which values are random.
import { mock } from "bun:test";
import * as nodeCrypto from "node:crypto";

const real = { ...nodeCrypto };
const seed = process.env.PARITY_SEED ?? "0";
let drawn = 0;

function bytes(length: number): Buffer {
  const parts: Buffer[] = [];
  for (let have = 0; have < length; have += 32) {
    parts.push(real.createHash("sha256").update(`${seed}:${drawn++}`).digest());
  }
  return Buffer.concat(parts).subarray(0, length);
}

function randomUUID(): `${string}-${string}-${string}-${string}-${string}` {
  const raw = bytes(16);
  raw[6] = (raw[6]! & 0x0f) | 0x40;
  raw[8] = (raw[8]! & 0x3f) | 0x80;
  const hex = raw.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

const randomBytes = (length: number, callback?: (error: null, drawn: Buffer) => void): Buffer | undefined => {
  if (callback === undefined) return bytes(length);
  queueMicrotask(() => callback(null, bytes(length)));
  return undefined;
};

const pinned = { ...real, randomUUID, randomBytes };
for (const name of ["crypto", "node:crypto"]) mock.module(name, () => ({ ...pinned, default: pinned }));
globalThis.crypto.randomUUID = randomUUID;
Math.random = () => bytes(6).readUIntBE(0, 6) / 2 ** 48;
