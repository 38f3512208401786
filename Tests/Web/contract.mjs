// The committed JSON Schema of the protocol, for tests: what the SDK sends must be in it. As much of JSON Schema as it uses.
import { readFileSync } from 'node:fs';

const schema = JSON.parse(readFileSync(new URL('../../docs/sfu.v1.schema.json', import.meta.url), 'utf8'));

const is = {
  object: (value) => typeof value === 'object' && value !== null && !Array.isArray(value), array: Array.isArray, null: (value) => value === null,
  integer: Number.isInteger, number: (value) => typeof value === 'number', string: (value) => typeof value === 'string', boolean: (value) => typeof value === 'boolean',
};

/** What is wrong with a value, with its place; null: nothing. */
function fault(value, node, place) {
  if (node.$ref) return fault(value, schema.$defs[node.$ref.slice('#/$defs/'.length)], place);
  const branches = node.oneOf ?? node.anyOf;
  if (branches) {
    const faults = branches.map((branch) => fault(value, branch, place));
    return faults.includes(null) ? null : faults[0];
  }
  if ('const' in node && value !== node.const) return `${place}: ${JSON.stringify(value)} is not ${node.const}`;
  if (node.type && !is[node.type](value)) return `${place}: ${JSON.stringify(value)} is no ${node.type}`;
  if (node.enum && !node.enum.includes(value)) return `${place}: ${value} is none of ${node.enum}`;
  if (value < node.minimum || value > node.maximum) return `${place}: ${value} is out of bounds`;
  if (node.type === 'array') return value.map((one, index) => fault(one, node.items ?? {}, `${place}[${index}]`)).find(Boolean) ?? null;
  if (node.type !== 'object') return null;
  for (const [name, inner] of Object.entries(node.properties ?? {})) {
    const found = value[name] === undefined ? null : fault(value[name], inner, `${place}.${name}`);
    if (found) return found;
  }
  for (const name of node.required ?? []) if (value[name] === undefined) return `${place}.${name} is missing`;
  for (const name of Object.keys(value)) {
    if (node.properties && name in node.properties) continue;
    if (node.properties) return `${place}.${name} is not in the schema`;
    const found = is.object(node.additionalProperties) ? fault(value[name], node.additionalProperties, `${place}.${name}`) : null;
    if (found) return found;
  }
  return null;
}

const known = new Set(schema.$defs.ClientEnvelope.oneOf.map((one) => one.$ref.slice('#/$defs/client.'.length)));

/** Unknown fields are faults, too: a client of ours has no reason to send them. Types that a test has invented are its business. */
export const faultOfClient = (envelope) => (known.has(envelope.type) ? fault(envelope, schema.$defs[`client.${envelope.type}`], envelope.type) : null);
