// SPDX-License-Identifier: Apache-2.0
// Calls a model server with the packages of OpenAI and of Anthropic, as standard input asks in JSON, and prints what
// came of each call: {url, maxRetries, together, calls: [{api, body, headers, stopAfter}]}. @stopAfter: so many events
// of a stream, and then the client goes away.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const { url, maxRetries, together, calls } = JSON.parse(readFileSync(0, "utf8"));

const APIS = {
  chat: (clients) => clients.openai.chat.completions,
  completions: (clients) => clients.openai.completions,
  embeddings: (clients) => clients.openai.embeddings,
  responses: (clients) => clients.openai.responses,
  messages: (clients) => clients.anthropic.messages,
};

// What a stream of each API amounts to: how an event adds to the text, the arguments of tool calls, and the usage.
const GATHER = {
  chat(sum, event) {
    for (const { delta } of event.choices) {
      sum.text += delta.content ?? "";
      for (const { index, function: called } of delta.tool_calls ?? []) {
        sum.tools[index] = (sum.tools[index] ?? "") + called.arguments;
      }
    }
    sum.usage = event.usage ?? sum.usage;
  },
  completions(sum, event) {
    sum.text += event.choices[0]?.text ?? "";
    sum.usage = event.usage ?? sum.usage;
  },
  responses(sum, event) {
    if (event.type === "response.output_text.delta") {
      sum.text += event.delta;
    } else if (event.type === "response.function_call_arguments.delta") {
      sum.tools[event.output_index] = (sum.tools[event.output_index] ?? "") + event.delta;
    } else if (event.type === "response.completed") {
      sum.usage = event.response.usage;
    }
  },
  messages(sum, event) {
    if (event.type === "message_start") {
      sum.usage = { ...event.message.usage };
    } else if (event.type === "message_delta") {
      Object.assign(sum.usage, event.usage);
    } else if (event.delta?.type === "text_delta") {
      sum.text += event.delta.text;
    } else if (event.delta?.type === "input_json_delta") {
      sum.tools[event.index - 1] = (sum.tools[event.index - 1] ?? "") + event.delta.partial_json;
    }
  },
};

// The same of an answer that is one object.
const READ = {
  chat: ({ choices: [{ message }], usage }) => ({
    text: message.content ?? "", tools: (message.tool_calls ?? []).map((call) => call.function.arguments), usage,
  }),
  completions: ({ choices, usage }) => ({ text: choices[0].text, tools: [], usage }),
  embeddings: ({ data, usage }) => ({ text: JSON.stringify(data[0].embedding), tools: [], usage }),
  responses: ({ output_text: text, output, usage }) => ({
    text, tools: output.filter((item) => item.type === "function_call").map((item) => item.arguments), usage,
  }),
  messages: ({ content, usage }) => ({
    text: content.filter((block) => block.type === "text").map((block) => block.text).join(""),
    tools: content.filter((block) => block.type === "tool_use").map((block) => JSON.stringify(block.input)), usage,
  }),
};

// fetch() that keeps what went over the wire: of each try its status, its headers, and what its body hashes to, unless
// the client leaves before its end.
function observed(tries, leaves) {
  return async (where, options) => {
    const response = await fetch(where, options);
    const seen = { status: response.status, headers: Object.fromEntries(response.headers) };
    tries.push(seen);
    seen.body = leaves ? null : response.clone().text().then((text) => createHash("sha256").update(text).digest("hex"));
    return response;
  };
}

// An error may come after some of it: that is in @sum then.
async function gather(sum, api, stream, stopAfter) {
  for await (const event of stream) {
    sum.events += 1;
    GATHER[api](sum, event);
    if (sum.events === stopAfter) {
      break;
    }
  }
}

async function call({ api, body, headers, stopAfter }) {
  const tries = [];
  const options = {
    baseURL: url + (api === "messages" ? "" : "/v1"), apiKey: "none", maxRetries, fetch: observed(tries, stopAfter),
  };
  const clients = { openai: new OpenAI(options), anthropic: new Anthropic(options) };
  const answer = { text: "", tools: [], usage: null, events: 0, error: null };
  try {
    const result = await APIS[api](clients).create(body, { headers });
    if (body.stream) {
      await gather(answer, api, result, stopAfter);
    } else {
      Object.assign(answer, READ[api](result));
    }
  } catch (error) {
    answer.error = {
      class: error.constructor.name, status: error.status ?? null, code: error.code ?? null, type: error.type ?? null,
      message: error.message, body: error.error ?? null,
    };
  }
  for (const seen of tries) {
    seen.body = await seen.body;
  }
  return { ...answer, tries };
}

const answers = [];
if (together) {
  answers.push(...await Promise.all(calls.map(call)));
} else {
  for (const one of calls) {
    answers.push(await call(one));
  }
}
console.log(JSON.stringify(answers));
