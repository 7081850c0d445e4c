// Loaded before the program: names below "test" are this machine, as a cluster's DNS would have them.
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'

const { lookup } = dns
dns.lookup = (name, ...rest) => lookup(name.endsWith('.test') ? '127.0.0.1' : name, ...rest)
syncBuiltinESMExports()
