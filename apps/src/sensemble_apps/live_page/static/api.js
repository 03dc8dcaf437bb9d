// Shows `openapi.json` to a person.

import { byId, make, say } from "./dom.js";

/** @typedef {{summary: string, requestBody?: object, responses: Record<string, {description?: string, $ref?: string}>}} Operation */

const answer = await fetch("openapi.json");
/** @type {{info: {description: string}, paths: Record<string, Record<string, Operation>>}} */
const description = await answer.json();
say(byId("description"), description.info.description);
for (const [path, operations] of Object.entries(description.paths))
  for (const [method, operation] of Object.entries(operations)) {
    const codes = Object.entries(operation.responses).map(([code, response]) =>
      make("li", {}, make("code", {}, code), ` ${response.description ?? "refused: {\"reason\": one line}"}`),
    );
    const body = operation.requestBody ? [make("pre", {}, JSON.stringify(schema(operation.requestBody), null, 2))] : [];
    byId("paths").append(
      make("section", {}, make("h2", {}, make("code", {}, `${method.toUpperCase()} ${path}`)), make("p", {}, operation.summary), ...body, make("ul", {}, ...codes)),
    );
  }

/** @param {any} body @returns {unknown} the properties that a body has */
function schema(body) {
  return body.content["application/json"].schema.properties;
}
