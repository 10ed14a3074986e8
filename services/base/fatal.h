// The end of a process that cannot go on: a message and an exit code, instead of an abort.
//
//   int main(int argc, char** argv) { HandleFatalErrors(); return Run(argc, argv); }
//
// Covered are an exception that nothing catches, on any thread; memory that operator new or AllocateInHugePages cannot
// get; and abort(), which libraries call where they get no memory. An invalid access to memory still ends by its signal.
#pragma once

#include <exception>
#include <string>

namespace lvs::services {

// The exit code of such an end; kExitCouldNotRun of the command line.
inline constexpr int kExitFatal = 1;

// From now on the process writes one message to stderr and exits with kExitFatal. Call it first in main.
void HandleFatalErrors();

// Makes the message a line of the log (log.h) instead of text for people, or text again. Any thread.
void WriteFatalErrorsAsLog(bool as_log);

// What an exception means to an operator, and what to do about it: "no thread could be started (...); raise ...".
std::string ExceptionText(const std::exception& error);

}  // namespace lvs::services
