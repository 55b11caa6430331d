
import { parseSimpleYaml } from "/work/real/signetai/packages/core/src/yaml.ts";
const d=JSON.parse(require("fs").readFileSync("/tmp/edge/docs.json","utf8"));
console.log(JSON.stringify(d.map(x=>JSON.stringify(parseSimpleYaml(x)))));
