// Shows the OpenAPI document of this control plane. All of it is put in as text, none of it as HTML.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const DEEPEST = 6;

let description;

document.addEventListener("DOMContentLoaded", async () => {
  const main = document.getElementById("operations");
  try {
    const answer = await fetch("/api/v1/openapi.json");
    if (!answer.ok) throw new Error(`the description was answered with ${answer.status}`);
    description = await answer.json();
  } catch (error) {
    main.textContent = `The description cannot be read: ${error.message}`;
    return;
  }
  document.getElementById("title").textContent = `${description.info.title}, API version ${description.info.version}`;
  main.replaceChildren(...groups().map(([tag, operations]) => section(tag, operations)));
  document.getElementById("find").addEventListener("input", (event) => filter(event.target.value));
});

/** An element with text or children; children that are null are left out. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Operations by tag, in the order of the document. */
function groups() {
  const groups = new Map();
  for (const [path, item] of Object.entries(description.paths ?? {})) {
    for (const method of METHODS.filter((method) => item[method])) {
      const operation = { path, method, ...item[method] };
      const tag = operation.tags?.[0] ?? "other";
      groups.set(tag, [...(groups.get(tag) ?? []), operation]);
    }
  }
  return [...groups];
}

function section(tag, operations) {
  return element("section", {}, element("h2", {}, tag), ...operations.map(entry));
}

/** One operation; its details are made when it is opened. */
function entry(operation) {
  const { method, path, summary = "" } = operation;
  const details = element("details", { class: "operation", "data-text": `${method} ${path} ${summary}`.toLowerCase() },
    element("summary", {},
      element("span", { class: `method ${method}` }, method.toUpperCase()),
      element("code", {}, path),
      element("span", { class: "what" }, summary)));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(body(operation));
  });
  return details;
}

function body(operation) {
  const content = resolve(operation.requestBody)?.content?.["application/json"];
  const parameters = (operation.parameters ?? []).map(resolve);
  return element("div", {},
    operation.description ? element("p", {}, operation.description) : null,
    ...table("Parameters", ["name", "in", "type", "is"], parameters.map((parameter) => [
      parameter.name + (parameter.required ? " (required)" : ""), parameter.in, kindOf(parameter.schema), parameter.description ?? "",
    ])),
    content ? element("h3", {}, "Body") : null,
    content ? fields(content.schema, 0) : null,
    ...answers(operation.responses ?? {}),
    trial(operation, parameters, content));
}

function table(title, head, rows) {
  if (rows.length === 0) return [];
  const cells = (name, row) => element("tr", {}, ...row.map((cell) => element(name, {}, cell)));
  return [element("h3", {}, title),
    element("table", {}, element("thead", {}, cells("th", head)), element("tbody", {}, ...rows.map((row) => cells("td", row))))];
}

function answers(responses) {
  const made = [element("h3", {}, "Answers")];
  for (const [status, reference] of Object.entries(responses)) {
    const response = resolve(reference);
    const schema = Object.values(response.content ?? {})[0]?.schema;
    made.push(element("details", {},
      element("summary", {}, element("code", {}, status), ` ${response.description ?? ""}`),
      schema ? fields(schema, 0) : element("p", {}, "without a body")));
  }
  return made;
}

/** The fields of a schema as a list; those below are made when they are opened. */
function fields(schema, depth) {
  const target = resolve(schema) ?? {};
  const list = element("ul", { class: "schema" });
  const properties = collect(target);
  if (properties.length === 0) list.append(element("li", { class: "kind" }, kindOf(schema)));
  for (const { name, schema: property, required } of properties) {
    const line = element("li", {},
      element("code", required ? { class: "required" } : {}, name), " ",
      element("span", { class: "kind" }, kindOf(property)), " ",
      resolve(property)?.description ?? "");
    const inner = innerOf(property);
    if (inner && depth < DEEPEST) {
      const more = element("details", {}, element("summary", {}, "fields"));
      more.addEventListener("toggle", () => {
        if (more.open && more.childElementCount === 1) more.append(fields(inner, depth + 1));
      });
      line.append(more);
    }
    list.append(line);
  }
  return list;
}

/** Properties of a schema and of all that it is made of. */
function collect(schema) {
  const found = Object.entries(schema.properties ?? {}).map(([name, property]) => (
    { name, schema: property, required: schema.required?.includes(name) ?? false }));
  for (const part of [...(schema.allOf ?? []), ...(schema.oneOf ?? []), ...(schema.anyOf ?? [])]) {
    found.push(...collect(resolve(part) ?? {}));
  }
  return found.filter((one, index) => found.findIndex((other) => other.name === one.name) === index);
}

/** The schema that has fields below this one. */
function innerOf(schema) {
  const target = resolve(schema) ?? {};
  const inner = target.items ?? (typeof target.additionalProperties === "object" ? target.additionalProperties : target);
  return collect(resolve(inner) ?? {}).length > 0 ? inner : null;
}

function kindOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.items) return `list of ${kindOf(schema.items)}`;
  const choice = schema.oneOf ?? schema.anyOf;
  if (choice) return choice.map(kindOf).filter(Boolean).join(" | ");
  return [schema.type ?? "any"].flat().join(" | ");
}

/** What a reference within the document names. */
function resolve(value) {
  if (!value?.$ref) return value;
  const named = value.$ref.replace(/^#\//, "").split("/").reduce((at, part) => at?.[part.replaceAll("~1", "/").replaceAll("~0", "~")], description);
  return named ? { ...named, ...value, $ref: undefined } : value;
}

/** Sends the operation as it is filled in, and shows the answer. */
function trial(operation, parameters, content) {
  const inputs = parameters.map((parameter) => ({ parameter, input: element("input", { placeholder: parameter.name }) }));
  const text = content ? element("textarea", { spellcheck: "false", "aria-label": "Body" }) : null;
  const shown = element("pre", { class: "hidden" });
  const button = element("button", { type: "button" }, "Send");
  button.addEventListener("click", async () => {
    shown.classList.remove("hidden");
    shown.textContent = "…";
    try {
      shown.textContent = await send(operation, inputs, text?.value);
    } catch (error) {
      shown.textContent = `no answer: ${error.message}`;
    }
  });
  return element("details", {}, element("summary", {}, "Try it"),
    ...inputs.map(({ parameter, input }) => element("p", {}, element("label", {}, `${parameter.name} `, input))),
    text, element("p", {}, button), shown);
}

async function send({ method, path }, inputs, body) {
  const query = new URLSearchParams();
  let filled = path;
  for (const { parameter, input } of inputs) {
    if (parameter.in === "path") filled = filled.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (parameter.in === "query" && input.value !== "") query.set(parameter.name, input.value);
  }
  const headers = {};
  const key = document.getElementById("key").value;
  if (key) headers["X-API-Key"] = key;
  if (body) headers["Content-Type"] = "application/json";
  const address = query.size > 0 ? `${filled}?${query}` : filled;
  const answer = await fetch(address, { method: method.toUpperCase(), headers, body: body || undefined, credentials: "omit" });
  const text = await answer.text();
  let shown = text;
  try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not every answer is JSON */ }
  return `${answer.status} ${answer.statusText}\n\n${shown}`;
}

function filter(text) {
  const wanted = text.trim().toLowerCase();
  for (const section of document.querySelectorAll("main section")) {
    let any = false;
    for (const entry of section.querySelectorAll("details.operation")) {
      const fits = entry.dataset.text.includes(wanted);
      entry.classList.toggle("hidden", !fits);
      any ||= fits;
    }
    section.classList.toggle("hidden", !any);
  }
}
