import ArgumentParser
import Foundation

/// Explains a command line that the parser refuses: what is not built yet, what was mistyped, what
/// belongs to another command. Knows the commands and options from the parser's own description.
struct UsageDiagnosis {
  /// What is needed of the parser's description of itself.
  private struct Tool: Decodable {
    let command: Command
  }
  private struct Command: Decodable {
    let commandName: String
    let defaultSubcommand: String?
    let subcommands: [Command]?
    let arguments: [Argument]?
  }
  private struct Argument: Decodable {
    struct Name: Decodable {
      let name: String
    }
    let kind: String
    let names: [Name]?
  }

  private let root: Command

  /// - Throws: where the parser's description of the commands cannot be read.
  init() throws {
    let description = Data(SEMGTrainCommand._dumpHelp().utf8)
    root = try JSONDecoder().decode(Tool.self, from: description).command
  }

  /// A sentence that says more than the parser's own, or nil.
  func sentence(for arguments: [String]) -> String? {
    let command = command(of: arguments)
    if let word = arguments.first, !word.hasPrefix("-"), command == nil {
      return sentence(forUnknownCommand: word)
    }
    let options = options(of: command ?? defaultCommand)
    var rest = arguments.dropFirst(command == nil ? 0 : 1)
    while let argument = rest.popFirst(), argument != "--" {
      guard argument.hasPrefix("-"), argument.count > 1, Double(argument) == nil else {
        if let sentence = sentence(forWord: argument, of: command ?? defaultCommand) {
          return sentence
        }
        continue
      }
      let name = String(argument.drop { $0 == "-" }.prefix { $0 != "=" })
      guard let option = options[name], argument.hasPrefix("--") || name.count == 1 else {
        return sentence(forUnknownOption: argument, name: name, known: options, of: command)
      }
      if option.kind == "option", !argument.contains("=" as Character), let value = rest.first {
        if Double(value) != nil, value.hasPrefix("-") {
          return "\(argument) \(value): expected a value that is not below 0"
        }
        if value.hasPrefix("--") { return "\(argument) needs a value, found the option \(value)" }
        rest.removeFirst()
      }
    }
    return nil
  }

  /// A sentence where an option is given twice: the parser takes the last in silence.
  func sentence(forRepeated arguments: [String]) -> String? {
    let command = command(of: arguments)
    let options = options(of: command ?? defaultCommand)
    var given: Set<String> = []
    var rest = arguments.dropFirst(command == nil ? 0 : 1)
    while let argument = rest.popFirst(), argument != "--" {
      let name = String(argument.drop { $0 == "-" }.prefix { $0 != "=" })
      guard argument.hasPrefix("--"), let option = options[name], option.kind == "option" else {
        continue
      }
      guard given.insert(name).inserted else {
        return "--\(name) is given twice: the last is taken"
      }
      if !argument.contains("=" as Character) { rest = rest.dropFirst() }
    }
    return nil
  }

  /// A sentence where help is asked for on a command that is none: the parser shows the general
  /// help then, as if that had been wanted.
  func sentence(forHelp arguments: [String]) -> String? {
    guard arguments.first == "help",
      let word = arguments.dropFirst().first(where: {
        !$0.hasPrefix("-")
      }), word != "help", command(of: [word]) == nil
    else { return nil }
    let near = Suggestions.nearest(to: word, among: commandNames)
    return "\(word) is not a command; commands are \(commandNames.joined(separator: ", "))"
      + didYouMean(near.map { "semg-train help \($0)" })
  }

  /// The command that the arguments name, or nil where the first is none.
  private func command(of arguments: [String]) -> Command? {
    root.subcommands?.first { $0.commandName == arguments.first }
  }

  /// How to ask for the help of the command that the arguments name.
  func helpCommand(for arguments: [String]) -> String {
    if let word = arguments.first, !word.hasPrefix("-"), command(of: arguments) == nil {
      return "semg-train --help"
    }
    return "semg-train \((command(of: arguments) ?? defaultCommand).commandName) --help"
  }

  private var commandNames: [String] {
    (root.subcommands ?? []).map(\.commandName).filter { $0 != "help" }
  }

  private var defaultCommand: Command {
    root.subcommands?.first { $0.commandName == root.defaultSubcommand } ?? root
  }

  private func options(of command: Command) -> [String: Argument] {
    var options: [String: Argument] = [:]
    for argument in (command.arguments ?? []) + (root.arguments ?? []) {
      for name in argument.names ?? [] { options[name.name] = argument }
    }
    return options
  }

  /// For a word that is not an option where the command takes none.
  private func sentence(forWord word: String, of command: Command) -> String? {
    guard !(command.arguments ?? []).contains(where: { $0.kind == "positional" }) else {
      return nil
    }
    if commandNames.contains(word) {
      return "the command comes first: semg-train \(word) …"
    }
    if options(of: command)[word] != nil {
      return "\(word) is not an argument of \(command.commandName)" + didYouMean("--\(word)")
    }
    if FileManager.default.fileExists(atPath: word) {
      return "found \(word) where an option belongs" + didYouMean("--data \(word)")
    }
    return "found \(word) where an option belongs"
  }

  private func sentence(forUnknownCommand word: String) -> String {
    if FileManager.default.fileExists(atPath: word) {
      return "found \(word) where a command belongs; to train on the recordings below it: "
        + "semg-train --data \(word)"
    }
    let near = Suggestions.nearest(to: word, among: commandNames)
    return "\(word) is not a command; commands are \(commandNames.joined(separator: ", "))"
      + didYouMean(near.map { "semg-train \($0)" })
  }

  private func sentence(
    forUnknownOption argument: String, name: String, known: [String: Argument],
    of command: Command?
  ) -> String {
    let typed = "--" + name
    let target = (command ?? defaultCommand).commandName
    // "-epochs": the option is there, one dash short.
    if known[name] != nil {
      return "\(argument) is not an option of \(target)" + didYouMean(typed)
    }
    let others = (root.subcommands ?? []).filter { options(of: $0)[name] != nil }
    if !others.isEmpty {
      let names = others.map(\.commandName).joined(separator: ", ")
      return "\(typed) is an option of \(names), not of \(target)"
    }
    let near = Suggestions.nearest(
      to: name, among: known.keys.filter { $0.count > 1 }.sorted())
    return "\(argument.prefix { $0 != "=" }) is not an option of \(target)"
      + didYouMean(near.map { "--\($0)" })
  }
}
