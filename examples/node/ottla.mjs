import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** Starts a broker in memory on a free port; `stop()` ends it. */
export async function startOttla() {
  const options = ['serve', '--in-memory', '--listen', '127.0.0.1:0', '--ready-json']
  const broker = spawn(process.env.OTTLA_BIN ?? 'ottla', options, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(createInterface(broker.stdout), 'line')
  const stop = async () => {
    broker.kill()
    await once(broker, 'exit')
  }
  return { address: JSON.parse(line).listeners[0].address, stop }
}
